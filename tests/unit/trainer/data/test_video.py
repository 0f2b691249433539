"""Films: the header tells the truth, and decoding gives exactly the frames that were asked for."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tests.support.clips import (
    Recording,
    is_upright,
    make_film,
    make_recording,
    need_av,
    number_of,
)
from trainer.data.bad import BadSample
from trainer.data.geometry import GeometrySpec, place
from trainer.data.pixels import crop
from trainer.data.probe import Facts, probe
from trainer.data.video import video_facts
from trainer.data.video_read import (
    crop_frames,
    first_frame,
    read_clip,
    read_frames,
)
from trainer.data.video_times import frame_rate_varies
from trainer.errors import DataError

av = need_av()

OPEN_GOP = "keyint=12:min-keyint=12:scenecut=0:open-gop=1:bframes=3:b-pyramid=normal"
FORMS = {
    "mp4": ("f.mp4", {}),
    "mp4, open groups of pictures": ("f.mp4", {"options": {"x264-params": OPEN_GOP}}),
    "mp4 in fragments": ("f.mp4", {"container": {"movflags": "frag_keyframe+empty_moov"}}),
    "mov": ("f.mov", {}),
    "mkv": ("f.mkv", {}),
    "webm vp9": ("f.webm", {"codec": "libvpx-vp9"}),
    "webm vp8": ("f.webm", {"codec": "libvpx"}),
    "avi": ("f.avi", {"codec": "mpeg4", "options": {"g": "12", "bf": "2"}}),
    "mpeg": ("f.mpg", {"codec": "mpeg2video", "options": {"g": "12", "bf": "2"}}),
    "gif": ("f.gif", {"codec": "gif", "pixels": "rgb8"}),
    "odd size": ("f.mkv", {"codec": "ffv1", "pixels": "bgr0", "size": (75, 53)}),
    "10 bit": ("f.mp4", {"pixels": "yuv420p10le"}),
    "turned left": ("f.mp4", {"rotation": 90}),
    "turned right": ("f.mkv", {"rotation": -90}),
    "upside down": ("f.mov", {"rotation": 180}),
    "uneven": ("f.mp4", {"times": [n + n // 3 for n in range(90)]}),
}


@pytest.fixture(scope="module")
def films(tmp_path_factory) -> dict[str, Path]:
    """One film of 90 numbered frames of each form."""
    made = {}
    for form, (name, settings) in FORMS.items():
        rate = 25 if name.endswith("gif") else 24  # a gif counts in hundredths of a second
        folder = tmp_path_factory.mktemp("film")
        made[form] = make_film(folder / name, 90, rate=rate, **settings)
    return made


@pytest.mark.parametrize("form", FORMS)
def test_header_facts(films, form):
    """Upright size, exact number of frames, mean rate; the same from a path and an open file."""
    facts = video_facts(films[form])
    uneven, fast = form == "uneven", form == "gif"
    assert facts[:3] == (*FORMS[form][1].get("size", (64, 48)), 90)
    assert facts.fps == pytest.approx(18.0 if uneven else 25.0 if fast else 24.0, rel=0.02)
    assert facts.duration_s == pytest.approx(facts.frames / facts.fps, rel=0.04)
    assert (facts.channels, facts.rate) == (0, 0)
    assert frame_rate_varies(films[form]) is uneven
    with open(films[form], "rb") as file:
        file.seek(7)
        assert probe(file, "video") == facts
        assert not file.closed


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    "indices", [[0], [0, 1, 2, 3], [11, 12, 13], [5, 40, 89], [60, 61], [71, 72, 85], [89]], ids=str
)
def test_decoding_gives_exactly_these_frames(films, form, indices):
    """By the number that each frame shows: with B-frames, behind a seek, up to the last."""
    frames = read_frames(io.BytesIO(films[form].read_bytes()), indices, "ffffff")
    width, height = FORMS[form][1].get("size", (64, 48))
    assert frames.shape == (len(indices), height, width, 3)
    assert frames.dtype == np.uint8
    assert [number_of(frame) for frame in frames] == indices
    assert all(is_upright(frame) for frame in frames)


def test_a_seek_gives_the_bytes_of_decoding_from_the_start(films):
    """Entering at a key frame changes no pixel."""
    for form in ("mp4, open groups of pictures", "webm vp9", "10 bit"):
        whole = read_frames(films[form], range(90), "ffffff")
        assert np.array_equal(read_frames(films[form], [66, 75], "ffffff"), whole[[66, 75]])


def test_frames_hidden_by_an_edit_list_do_not_count(tmp_path, films):
    """A film cut by its editor without encoding it again begins where the cut is."""
    cut = tmp_path / "cut.mp4"
    with av.open(films["mp4"]) as source, av.open(cut, "w", options={"use_editlist": "1"}) as out:
        stream = source.streams.video[0]
        copy = out.add_stream_from_template(stream)
        shift = int(5 / 24 / stream.time_base)
        for packet in source.demux(stream):
            if packet.dts is not None:
                packet.pts, packet.dts, packet.stream = packet.pts - shift, packet.dts - shift, copy
                out.mux(packet)
    assert video_facts(cut).frames == 85
    for indices in ([0, 1, 84], [70, 71]):
        shown = [number_of(frame) for frame in read_frames(cut, indices, "ffffff")]
        assert shown == [n + 5 for n in indices]


# --- from frames to tensors --------------------------------------------------------------------


def test_crops_are_those_of_pictures(films):
    """A frame is resized and cut as a picture of the same pixels would be."""
    frames = read_frames(films["mp4"], [3, 4], "ffffff")
    where = place(64, 48, GeometrySpec(area=32 * 32, align=8, aspect="square"))
    cut = crop_frames(frames, where)
    assert cut.shape == (3, 2, 32, 32)
    assert torch.equal(cut[:, 1], crop(Image.fromarray(frames[1]), where))
    assert torch.equal(read_clip(films["mp4"], [3, 4], where, "ffffff"), cut)
    assert cut.min() >= -1
    assert cut.max() <= 1


def test_preview(films):
    """The first frame as a picture."""
    assert number_of(np.asarray(first_frame(films["turned left"]))) == 0
    assert first_frame(films["turned left"]).size == (64, 48)


# --- what is not a film ------------------------------------------------------------------------


def test_sound_of_a_film_is_told(tmp_path):
    """Channels and rate of its sound track stand beside the size."""
    film = make_film(tmp_path / "f.mp4", 48, sound=Recording(seconds=2, codec="aac"))
    assert video_facts(film) == Facts(64, 48, 48, 24.0, 2.0, 2, 44100)


def test_recordings_with_a_cover_are_no_films(tmp_path):
    """The picture on a record does not move."""
    path = tmp_path / "f.flac"
    cover = tmp_path / "cover.png"
    Image.new("RGB", (32, 32)).save(cover)
    plain = make_recording(tmp_path / "plain.flac", Recording(codec="flac"))
    with av.open(plain) as sound, av.open(cover) as picture, av.open(path, "w") as out:
        track = out.add_stream_from_template(sound.streams.audio[0])
        image = out.add_stream_from_template(picture.streams.video[0])
        image.disposition = av.stream.Disposition.attached_pic
        for source, target in ((picture, image), (sound, track)):
            for packet in source.demux():
                if packet.dts is not None:
                    packet.stream = target
                    out.mux(packet)
    with pytest.raises(BadSample, match="no moving pictures"):
        video_facts(path)


@pytest.mark.parametrize(
    ("content", "reason"),
    [(b"", "empty"), (b"not a film at all" * 50, "Invalid data"), (b"\0" * 4096, "Invalid data")],
)
def test_files_without_a_film_say_why(tmp_path, content, reason):
    """Empty and foreign files are bad for good, by path and as open files."""
    path = tmp_path / "f.mp4"
    path.write_bytes(content)
    for file in (path, io.BytesIO(content)):
        for read in (video_facts, frame_rate_varies, lambda f: read_frames(f, [0], "ffffff")):
            with pytest.raises(BadSample, match=reason) as error:
                read(file)
            assert error.value.lasting


def test_a_film_that_lost_its_tail(tmp_path):
    """Its header promises frames that are not there: it is refused when they are asked for."""
    film = make_film(tmp_path / "f.mp4", 90, container={"movflags": "faststart"})
    data = film.read_bytes()
    film.write_bytes(data[: len(data) * 3 // 4])
    assert video_facts(film).frames == 90
    assert number_of(read_frames(film, [10], "ffffff")[0]) == 10
    for indices in ([10, 89], [88]):
        with pytest.raises(BadSample, match=r"ends after|Invalid data"):
            read_frames(film, indices, "ffffff")
    headless = tmp_path / "g.mp4"
    headless.write_bytes(make_film(tmp_path / "h.mp4", 90).read_bytes()[:-2000])
    with pytest.raises(BadSample):
        video_facts(headless)


def test_a_film_with_a_hole_is_refused(tmp_path):
    """Overwritten frames are not replaced by grey ones."""
    film = make_film(tmp_path / "f.mp4", 90, container={"movflags": "faststart"})
    with av.open(film) as container:
        entries = container.streams.video[0].index_entries
        start, end = entries[30].pos, entries[40].pos
    data = bytearray(film.read_bytes())
    data[start:end] = bytes(end - start)
    film.write_bytes(data)
    with pytest.raises(BadSample):
        read_frames(film, [35, 80], "ffffff")


@pytest.mark.parametrize("seed", range(40))
def test_damage_of_any_kind_has_a_reason(films, seed):
    """A file with wrong, missing or foreign bytes is read or refused; nothing else is raised."""
    rng = np.random.default_rng(seed)
    data = bytearray(films[list(FORMS)[seed % len(FORMS)]].read_bytes())
    place = int(rng.integers(len(data)))
    if seed % 3 == 0:
        data = data[:place]
    elif seed % 3 == 1:
        data[place : place + 500] = rng.bytes(int(rng.integers(1000)))
    else:
        for spot in rng.integers(min(300, len(data)), size=5):
            data[spot] = int(rng.integers(256))
    for read in (
        video_facts,
        frame_rate_varies,
        lambda f: read_frames(f, [0, 30], "ffffff"),
        lambda f: read_frames(f, [70, 89], "ffffff"),
    ):
        refused = BadSample("none")
        try:
            read(io.BytesIO(data))
        except BadSample as error:
            refused = error
        assert str(refused)
        assert refused.lasting


def test_refusal_of_the_file_system_may_pass(tmp_path):
    """A film that is not there, or whose disk fails, is not remembered as broken."""

    class Failing(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            raise OSError(5, "Input/output error")

    for file in (tmp_path / "gone.mp4", Failing(b"x" * 4096)):
        with pytest.raises(BadSample) as error:
            video_facts(file)
        assert not error.value.lasting


def test_missing_library_names_the_extra(tmp_path, monkeypatch):
    """Only reading a film asks for PyAV, and its absence is a finding."""
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(DataError, match=r"DAT040.*simpletuner-terminal\[media\]"):
        video_facts(tmp_path / "f.mp4")
