"""Films and recordings go the same way as pictures: index, plan, cache, batch."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from tests.support.clips import Recording, make_film, make_recording, need_av
from tests.support.fake_family import FakeFamily, job
from trainer.data.prepare import make_loader, prepare

need_av()


class Films(FakeFamily):
    """Encodes clips as blocks of 8 x 8 pixels and 4 frames, the first frame alone."""

    def __init__(self) -> None:
        super().__init__()
        self.facts = replace(self.facts, frame_stride=4, frame_offset=1)
        self.seen: list[tuple[int, ...]] = []

    def posterior(self, pixels):
        self.seen += [tuple(clip.shape) for clip in pixels]
        first = torch.nn.functional.avg_pool3d(pixels[:, :, :1], (1, 8, 8))
        if pixels.shape[2] == 1:
            return first, None
        rest = torch.nn.functional.avg_pool3d(pixels[:, :, 1:], (4, 8, 8))
        return torch.cat([first, rest], dim=2), None


class Sounds(FakeFamily):
    def posterior(self, pixels):
        return torch.nn.functional.avg_pool1d(pixels, 160), None


def run(config, family):
    found: list[dict] = []

    def on_event(kind: str, **fields) -> None:
        if kind == "finding":
            found.append(fields["finding"])

    return prepare(config, family, on_event=on_event, should_stop=lambda: False), found


def batches(made, family, config, count: int):
    with make_loader(made, family, config, 0) as loader:
        return [loader.make(n) for n in range(count)]


def films(root, **video):
    place = root / "films"
    place.mkdir(exist_ok=True)
    for name, frames in (("a", 24), ("b", 24), ("c", 12), ("d", 11), ("e", 3)):
        if not (place / f"{name}.mp4").exists():
            make_film(place / f"{name}.mp4", frames)
        (place / f"{name}.txt").write_text(f"a film {name}")
    films = {"id": "films", "path": str(place), "kind": "video", "video": video}
    return job(root, films)


def test_clips_share_a_batch_with_clips_of_their_length(tmp_path):
    """24 frames become 21 (4 k + 1), 12 and 11 become 9, 3 become 1; each length is a bucket."""
    config, family = films(tmp_path), Films()
    made, _ = run(config, family)
    assert [p.name for p in made.plan_train.pools] == [
        "films:80x48@21" if n == 21 else f"films:80x48@{n}" if n > 1 else "films:80x48"
        for n in (1, 9, 21)
    ]
    assert sorted({shape[1] for shape in family.seen}) == [1, 9, 21]
    for batch in batches(made, family, config, 4):
        assert batch.latents.ndim == 5
        assert batch.latents.shape[2] in (1, 3, 6)
    again = Films()
    run(config, again)
    assert again.seen == []


def test_short_films_are_told_and_left_out(tmp_path):
    """A film with fewer frames than asked for has a reason, which is no error."""
    made, found = run(films(tmp_path, min_frames=5), Films())
    assert len(made.plan_train) == 4
    assert [(f["code"], f["level"]) for f in found if f["code"] == "DAT017"] == [("DAT017", "info")]


@pytest.mark.parametrize("start", ["beginning", "middle", "random"])
def test_which_frames_are_taken_is_part_of_the_key(tmp_path, start):
    """Another part of the same film is another latent; the same part is not encoded twice."""
    family = Films()
    run(films(tmp_path, frames=9, start="beginning"), family)
    before = len(family.seen)
    run(films(tmp_path, frames=9, start=start), family)
    assert (len(family.seen) == before) == (start == "beginning")


def test_first_frame_partner_of_a_film(tmp_path):
    """The partner made of a film's first frame is one frame long and shows what it starts with."""
    config = films(tmp_path, frames=9)
    films_set = config.data.datasets[0].model_dump(exclude_unset=True)
    config = job(tmp_path, films_set | {"conditioning": [{"generate": "first_frame"}]})
    family = Films()
    made, _ = run(config, family)
    (batch,) = batches(made, family, config, 1)
    (first,) = batch.conditioning
    assert first.shape[2] == 1
    assert (first[:, :, 0] - batch.latents[:, :, 0]).abs().max() < 0.02


def test_recordings_are_grouped_by_duration(tmp_path):
    """7 s and 6.5 s share the bucket of 6 s, 3.2 s has that of 3 s, 1 s is too short."""
    place = tmp_path / "sounds"
    place.mkdir()
    for name, seconds in (("a", 7.0), ("b", 6.5), ("c", 3.2), ("d", 1.0)):
        make_recording(place / f"{name}.wav", Recording(seconds=seconds))
        (place / f"{name}.txt").write_text(f"a tone {name}")
    sounds = {"id": "s", "path": str(place), "kind": "audio", "audio": {"rate": 8000}}
    config, family = job(tmp_path, sounds), Sounds()
    made, found = run(config, family)
    assert [(p.name, p.rows) for p in made.plan_train.pools] == [("s:3s", 1), ("s:6s", 2)]
    assert "DAT017" in [f["code"] for f in found]
    lengths = {b.latents.shape[-1] for b in batches(made, family, config, 3)}
    assert lengths <= {150, 300}
    assert 300 in lengths


def test_lyrics_go_with_every_caption_and_are_followed(tmp_path):
    """A song's lyrics stand behind each of its captions; editing them costs one text, no sound."""
    place = tmp_path / "songs"
    place.mkdir()
    for name in "ab":
        make_recording(place / f"{name}.wav", Recording(seconds=3.2))
        (place / f"{name}.txt").write_text(f"slow {name}\nsad {name}")
    (place / "a.lyrics.txt").write_text("one\n\ntwo\n")
    audio = {"rate": 8000, "lyrics_suffix": ".lyrics.txt"}
    config = job(tmp_path, {"id": "s", "path": str(place), "kind": "audio", "audio": audio})
    family = Sounds()
    made, _ = run(config, family)
    captions = {item.relpath: item.captions for item in made.plan_train.items()}
    assert captions["a.wav"] == ("slow a\x1done\n\ntwo", "sad a\x1done\n\ntwo")
    assert captions["b.wav"] == ("slow b", "sad b")
    (place / "a.lyrics.txt").write_text("one\n\nthree\n")
    again = Sounds()
    made, _ = run(config, again)
    assert sorted(again.captions) == ["sad a\x1done\n\nthree", "slow a\x1done\n\nthree"]
    assert again.num_pictures == 0
    (place / "a.lyrics.txt").unlink()
    made, _ = run(config, Sounds())
    assert next(made.plan_train.items()).captions == ("slow a", "sad a")
