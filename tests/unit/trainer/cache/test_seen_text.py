"""Texts that see pictures: one per sample and caption, anew when either changes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from tests.support.fake_family import FakeFamily, job
from tests.support.pictures import make_folder
from trainer.cache.why import why
from trainer.data.prepare import Prepared, prepare

COUNT = 4


class Editor(FakeFamily):
    def __init__(self, **identity: str) -> None:
        super().__init__(**identity)
        self.sees_pictures = True


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Pictures, and darker ones that they are made from."""
    make_folder(tmp_path / "after", COUNT)
    (tmp_path / "before").mkdir()
    for number, file in enumerate(sorted((tmp_path / "after").glob("*.png"))):
        plain(tmp_path, file.name, (10 * number, 0, 100))
        file.with_suffix(".txt").write_text(f"thing {number}")
    return tmp_path


def plain(root: Path, name: str, colour: tuple[int, int, int]) -> None:
    size = Image.open(root / "after" / name).size
    Image.new("RGB", size, colour).save(root / "before" / name)


def start(root: Path, family: FakeFamily, dropout: float = 0.0, **sections: Any) -> Prepared:
    after: dict[str, Any] = {"id": "after", "path": str(root / "after")}
    after |= {"conditioning": [{"dataset": "before"}], "caption": {"dropout": dropout}}
    before = {"id": "before", "path": str(root / "before"), "role": "conditioning"}
    config = job(root, after, before, **sections)
    return prepare(config, family, on_event=lambda *_, **__: None, should_stop=lambda: False)


def test_a_sample_has_the_text_of_its_own_picture(root):
    """Caption and picture of every row belong together; a second start encodes nothing."""
    family = Editor()
    made = start(root, family)
    assert len(family.captions) == COUNT
    reader, dataset = made.reader(family), made.plan_train.dataset(0)
    seen = set()
    for item in made.plan_train.items():
        batch = reader.batch([item], [0], [item.captions[0]], dataset)
        assert torch.equal(batch.text["embeds"][0, 0], FakeFamily.embed(item.captions[0]))
        colour = tuple(batch.text["seen"][0, 0].tolist())
        number = int(Path(item.relpath).stem.strip("p"))
        assert colour == (10.0 * number, 0.0, 100.0)
        seen.add(colour)
    assert len(seen) == COUNT
    again = Editor()
    start(root, again)
    assert not again.loads


def test_a_changed_picture_encodes_one_text_and_no_sample(root):
    """The picture is part of the key of the text, and of the reference; not of the sample."""
    start(root, Editor())
    plain(root, "p001.png", (0, 200, 0))
    family = Editor()
    start(root, family)
    assert len(family.captions) == 1
    assert family.num_pictures == 1  # the reference
    rows = [r for r in why(root / "cache", root / "after" / "p001.png") if r["kind"] == "seen_text"]
    assert any("picture 1 content" in (row["changed"] or []) for row in rows)


def test_a_changed_caption_encodes_one_text(root):
    """No picture with it."""
    start(root, Editor())
    (root / "after" / "p002.txt").write_text("something else")
    family = Editor()
    start(root, family)
    assert (family.captions, family.num_pictures) == (["something else"], 0)


def test_dropped_captions_see_the_picture_as_well(root):
    """Without a caption a sample still has its picture: one empty text each."""
    family = Editor()
    made = start(root, family, dropout=0.5)
    assert family.captions.count("") == COUNT
    item = next(iter(made.plan_train.items()))
    batch = made.reader(family).batch([item], [0], [""], made.plan_train.dataset(0))
    assert torch.equal(batch.text["embeds"][0, 0], FakeFamily.embed(""))


def test_validation_texts_see_the_picture_to_edit(root):
    """Prompt and negative are encoded with it, once."""
    given = {"inputs": [{"path": str(root / "before" / "p003.png"), "prompt": "edit it"}]}
    family = Editor()
    made = start(root, family, validation=given | {"negative": "blurry"})
    drawing = made.drawings[0]
    assert drawing.picture is not None
    for entry, text in ((drawing.text, "edit it"), (drawing.negative, "blurry")):
        assert torch.equal(entry["embeds"][0], FakeFamily.embed(text))
        assert entry["seen"][0].tolist() == [30.0, 0.0, 100.0]
    again = Editor()
    start(root, again, validation=given | {"negative": "blurry"})
    assert again.captions == []
