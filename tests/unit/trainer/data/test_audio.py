"""Recordings: the header tells the length, and decoding gives exactly the part asked for."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.support.clips import Recording, make_film, make_recording, need_av, rising_tone
from trainer.config.schema.media import AudioConfig
from trainer.data.audio import audio_facts, read_audio, waveform
from trainer.data.bad import BadSample
from trainer.data.probe import probe

av = need_av()

CODECS = {
    "wav": ("r.wav", Recording(seconds=40)),
    "flac": ("r.flac", Recording(seconds=40, codec="flac")),
    "mp3": ("r.mp3", Recording(seconds=40, codec="libmp3lame")),
    "ogg opus": ("r.ogg", Recording(seconds=40, codec="libopus", rate=48000)),
    "m4a": ("r.m4a", Recording(seconds=40, codec="aac")),
    "aac": ("r.aac", Recording(seconds=40, codec="aac")),
    "mono": ("r.wav", Recording(seconds=40, channels=1, rate=22050)),
}
PRIMED_S = {"aac": 1024 / 44100}  # this format has no place to say what the encoder put in front


@pytest.fixture(scope="module")
def recordings(tmp_path_factory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("recordings")
    return {
        form: make_recording(folder / f"{number}{name}", recording)
        for number, (form, (name, recording)) in enumerate(CODECS.items())
    }


def likeness(heard: torch.Tensor, expected: np.ndarray) -> float:
    """Correlation of two sounds: 1 when they are alike, whatever their loudness."""
    one, two = heard.numpy().ravel(), np.asarray(expected).ravel()
    return float(one @ two / (np.linalg.norm(one) * np.linalg.norm(two)))


@pytest.mark.parametrize("form", CODECS)
def test_header_facts(recordings, form):
    """Duration, channels and rate, the same from a path and an open file."""
    recording = CODECS[form][1]
    facts = audio_facts(recordings[form])
    assert facts.duration_s == pytest.approx(40, abs=0.05)
    assert facts[5:] == (recording.channels, recording.rate)
    assert facts[:4] == (0, 0, 0, 0.0)
    with open(recordings[form], "rb") as file:
        assert probe(file, "audio") == facts
        assert not file.closed


def test_a_length_that_was_only_estimated_is_counted(tmp_path):
    """An mp3 of varying rate without a table of contents: its header says nearly anything."""
    quiet = Recording(seconds=20, codec="libmp3lame", options={"q": "9"}, loudness=0.0)
    path = make_recording(tmp_path / "a.mp3", quiet)
    loud = make_recording(
        tmp_path / "b.mp3", Recording(seconds=4, codec="libmp3lame", options={"b": "320k"})
    )
    joined = tmp_path / "c.mp3"
    packets = [
        bytes(packet)
        for source in (loud, path)
        for packet in av.open(source).demux(audio=0)
        if packet.size
    ]
    joined.write_bytes(b"".join(packets))
    with av.open(joined) as container:
        assert abs(container.duration / 1e6 - 24) > 1
    assert audio_facts(joined).duration_s == pytest.approx(24, abs=0.2)


@pytest.mark.parametrize("form", CODECS)
@pytest.mark.parametrize("start_s", [0.0, 1.37, 19.9, 31.003])
def test_decoding_gives_exactly_this_part(recordings, form, start_s):
    """The tone of that moment, also behind a seek, resampled, to the sample."""
    audio = AudioConfig(rate=16000)
    sound = read_audio(recordings[form], audio, start_s, 3.0)
    assert sound.shape == (1, 48000)
    assert sound.dtype == torch.float32
    time_s = start_s - PRIMED_S.get(form, 0.0) + np.arange(48000) / 16000
    expected = rising_tone(time_s)
    inner = slice(400, -400)  # encoders fade at the very beginning
    assert likeness(sound[0, inner], expected[inner]) > 0.99
    late = rising_tone(time_s + 1 / 16000)
    assert likeness(sound[0, inner], late[inner]) < likeness(sound[0, inner], expected[inner])


def test_a_seek_gives_the_samples_of_decoding_from_the_start(recordings, monkeypatch):
    """Entering a file in the middle changes nothing that could be heard."""
    audio = AudioConfig(rate=44100, channels=2)
    for form, path in recordings.items():
        sought = read_audio(path, audio, 33.3, 2.0)
        with monkeypatch.context() as patch:
            patch.setattr("trainer.data.audio.FAR_S", 1e9)
            decoded = read_audio(path, audio, 33.3, 2.0)
        assert (sought - decoded).abs().max() < 2e-3, form


@pytest.mark.parametrize("rate", [8000, 24000, 44100, 48000])
@pytest.mark.parametrize("seconds", [0.1, 1.0, 2.9999])
def test_the_length_is_exact(recordings, rate, seconds):
    """Seconds times rate, whatever the file's own rate."""
    for channels in (1, 2):
        audio = AudioConfig(rate=rate, channels=channels)
        sound = read_audio(recordings["mp3"], audio, 5.0, seconds)
        assert sound.shape == (channels, round(seconds * rate))


def test_channels(recordings):
    """One of two is their mean, two of one are copies; the second channel stays the second."""
    mixed = read_audio(recordings["wav"], AudioConfig(rate=44100, channels=1), 2.0, 1.0)
    both = read_audio(recordings["wav"], AudioConfig(rate=44100, channels=2), 2.0, 1.0)
    assert torch.allclose(mixed[0], both.mean(dim=0), atol=1e-6)
    assert both[0].abs().max() == pytest.approx(0.5, abs=0.01)
    assert both[1].abs().max() == pytest.approx(0.25, abs=0.01)
    copied = read_audio(recordings["mono"], AudioConfig(rate=22050, channels=2), 2.0, 1.0)
    assert torch.equal(copied[0], copied[1])
    assert copied.abs().max() == pytest.approx(0.5, abs=0.01)


def test_surround_sound_is_mixed(tmp_path):
    """Six channels become two or one."""
    path = tmp_path / "r.wav"
    with av.open(path, "w") as out:
        track = out.add_stream("pcm_s16le", rate=16000, layout="5.1")
        frame = av.AudioFrame.from_ndarray(
            np.tile(rising_tone(np.arange(16000) / 16000).astype(np.float32) * 0.1, (6, 1)),
            "fltp",
            "5.1",
        )
        frame.sample_rate = 16000
        out.mux(track.encode(frame))
        out.mux(track.encode())
    assert audio_facts(path).channels == 6
    for channels in (1, 2):
        sound = read_audio(path, AudioConfig(channels=channels), 0.0, 1.0)
        assert sound.shape == (channels, 16000)
        assert likeness(sound[0], rising_tone(np.arange(16000) / 16000)) > 0.999


def test_sound_of_a_film_stays_with_its_pictures(tmp_path):
    """Time counts from the first frame; a sound that begins later is preceded by silence."""
    late = Recording(seconds=3.5, codec="flac", start_s=0.5)
    film = make_film(tmp_path / "f.mkv", 96, sound=late)
    assert audio_facts(film)[5:] == (2, 44100)
    audio = AudioConfig(rate=16000)
    for start_s in (0.0, 1.25):
        sound = read_audio(film, audio, start_s, 2.0)[0]
        time_s = start_s - 0.5 + np.arange(32000) / 16000
        expected = np.where(time_s >= 0, rising_tone(time_s), 0.0)
        assert likeness(sound, expected) > 0.995
    assert read_audio(film, audio, 0.0, 2.0)[0, :7900].abs().max() < 1e-2


def test_loud_sound_is_kept_within_bounds(tmp_path):
    """What a lossy codec overshoots is cut to -1..1."""
    loud = Recording(codec="libmp3lame", loudness=1.0, options={"b": "32k"})
    path = make_recording(tmp_path / "r.mp3", loud)
    with av.open(path) as container:
        peak = max(float(np.abs(f.to_ndarray()).max()) for f in container.decode(audio=0))
    assert peak > 1
    assert read_audio(path, AudioConfig(rate=44100, channels=2), 0.0, 2.5).abs().max() <= 1


def test_a_length_that_the_header_rounded_up_is_filled(tmp_path):
    """A few missing milliseconds are silence; more than that is refused."""
    path = make_recording(tmp_path / "r.wav", Recording(seconds=2.98, rate=16000, channels=1))
    sound = read_audio(path, AudioConfig(), 0.0, 3.0)[0]
    assert sound[-320:].abs().max() == 0
    assert sound[-400:-320].abs().max() > 0
    with pytest.raises(BadSample, match=r"ends 0\.48 s too early"):
        read_audio(path, AudioConfig(), 0.5, 2.96)


# --- what is not a recording -------------------------------------------------------------------


def test_silence_is_refused(tmp_path):
    """Nothing can be learnt from a part in which nothing is heard."""
    path = make_recording(tmp_path / "r.wav", Recording(loudness=0.0))
    with pytest.raises(BadSample, match="silent from 1 s on for 2 s"):
        read_audio(path, AudioConfig(), 1.0, 2.0)
    quiet = make_recording(tmp_path / "q.wav", Recording(loudness=1e-3))
    assert read_audio(quiet, AudioConfig(), 1.0, 2.0).abs().max() > 0


def test_a_film_without_sound_is_refused(tmp_path):
    """It has none, in header and body."""
    film = make_film(tmp_path / "f.mp4", 12)
    for read in (audio_facts, lambda f: read_audio(f, AudioConfig(), 0.0, 0.5)):
        with pytest.raises(BadSample, match="it has no sound"):
            read(film)


@pytest.mark.parametrize("content", [b"", b"not a recording" * 100, b"RIFF\0\0\0\0WAVEfmt "])
def test_files_without_sound_say_why(tmp_path, content):
    """Empty, foreign and headless files are bad for good."""
    for read in (
        audio_facts,
        lambda f: read_audio(f, AudioConfig(), 0.0, 0.5),
        lambda f: waveform(f, 10),
    ):
        with pytest.raises(BadSample) as error:
            read(io.BytesIO(content))
        assert error.value.lasting
        assert str(error.value)


def test_a_recording_that_lost_its_tail(recordings, tmp_path):
    """The part that is there is read, the part that is not is refused."""
    data = recordings["flac"].read_bytes()
    path = tmp_path / "r.flac"
    path.write_bytes(data[: len(data) // 2])
    assert audio_facts(path).duration_s == pytest.approx(40, abs=0.05)
    assert read_audio(path, AudioConfig(), 1.0, 2.0).shape == (1, 32000)
    with pytest.raises(BadSample):
        read_audio(path, AudioConfig(), 30.0, 3.0)


def test_waveform(tmp_path):
    """Peaks from left to right, as many as were asked for."""
    path = make_recording(tmp_path / "r.wav", Recording(seconds=4, loudness=0.8))
    peaks = waveform(path, 40)
    assert len(peaks) == 40
    assert all(peak == pytest.approx(0.8, abs=0.01) for peak in peaks)
    short = make_recording(tmp_path / "s.wav", Recording(seconds=0.02, loudness=0.5))
    assert len(waveform(short, 40)) == 40
    ramp = tmp_path / "ramp.wav"
    with av.open(ramp, "w") as out:
        track = out.add_stream("pcm_s16le", rate=8000, layout="mono")
        tone = rising_tone(np.arange(16000) / 8000) * np.repeat([0.25, 0.75], 8000)
        frame = av.AudioFrame.from_ndarray(tone.astype(np.float32)[None], "fltp", "mono")
        frame.sample_rate = 8000
        out.mux(track.encode(frame))
        out.mux(track.encode())
    assert waveform(ramp, 2) == pytest.approx([0.25, 0.75], abs=0.01)
