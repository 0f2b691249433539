"""A frozen table is the table it was made of, and never an older one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.support.pictures import make_folder
from tests.unit.trainer.data.test_plan import DATASET
from trainer.data import scanning, snapshot
from trainer.data.captions import CaptionFile, parse_text
from trainer.data.index import Index
from trainer.data.plan import make_plan
from trainer.data.sources.local import Folder

pytest.importorskip("pyarrow")


@pytest.fixture
def index(tmp_path, monkeypatch) -> Index:
    monkeypatch.setattr(snapshot, "MIN_ROWS", 3)
    folder = make_folder(tmp_path / "set", 7, sizes=((64, 64), (64, 128)))
    (folder / "p003.txt").write_bytes(b"\xff")
    (folder / "p004.png").write_bytes(b"")
    return Index(
        Folder(folder, "image", CaptionFile(".txt", ".txt", parse_text)),
        "image",
        tmp_path / "index" / "set.db",
    )


def scan(index: Index) -> None:
    index.scan(lambda done: None)
    index.hash_contents(1, lambda done: None)


def test_frozen_table_equals_the_one_from_the_index(index, monkeypatch):
    """Rows, texts, digest, plan and funnel; a second opening reads no row of the index."""
    scan(index)
    dataset = replace(DATASET, missing_caption="skip", source=index.source)
    first, told = scanning.table_of(index, dataset)
    monkeypatch.setattr(snapshot, "MIN_ROWS", 1000)
    frozen, again = scanning.table_of(index, dataset)
    monkeypatch.setattr(Index, "rows", lambda self: pytest.fail("the snapshot was not used"))
    frozen, again = scanning.table_of(index, dataset)
    assert list(frozen.relpaths) == [f"p{n:03d}.png" for n in (0, 1, 2, 5, 6)]
    assert list(frozen.file_texts) == list(first.file_texts)
    assert np.array_equal(frozen.sizes, first.sizes)
    assert frozen.item(3) == first.item(3)
    assert frozen.columns_digest == first.columns_digest
    assert make_plan([frozen]).plan_hash == make_plan([first]).plan_hash
    assert again == told
    assert told.lost["bad caption"].examples[0][0] == "p003.png"


def test_settings_and_changes_make_a_new_one(index):
    """Another choice of rows, and every change of the folder, is another table."""
    scan(index)
    dataset = replace(DATASET, missing_caption="skip", source=index.source)
    assert len(scanning.table_of(index, dataset)[0]) == 5
    assert len(scanning.table_of(index, replace(dataset, max_samples=4))[0]) == 4
    (index.source.root / "p000.txt").write_text("edited")
    scan(index)
    table, _ = scanning.table_of(index, dataset)
    assert table.captions(0) == ("edited",)


def test_rest_of_the_table_works_on_mapped_columns(index):
    """Taking rows, digests and captions do not need memory of their own kind."""
    scan(index)
    dataset = replace(DATASET, missing_caption="skip", source=index.source)
    scanning.table_of(index, dataset)
    frozen, _ = scanning.table_of(index, dataset)
    part = frozen.take(np.array([1, 4]))
    assert list(part.relpaths) == ["p001.png", "p006.png"]
    assert part.columns_digest != frozen.columns_digest


def test_torn_snapshot_is_made_anew(index):
    """A file cut by a crash is no error."""
    scan(index)
    dataset = replace(DATASET, missing_caption="skip", source=index.source)
    scanning.table_of(index, dataset)
    path = index.snapshot(dataset.id)
    path.write_bytes(path.read_bytes()[:-40])
    assert len(scanning.table_of(index, dataset)[0]) == 5


def test_hashes_that_come_later_make_a_new_table(index):
    """A table frozen before the contents were known is not used afterwards."""
    index.scan(lambda done: None)
    dataset = replace(DATASET, missing_caption="skip", source=index.source)
    before = index.generation
    assert len(scanning.table_of(index, dataset)[0]) == 0
    index.hash_contents(1, lambda done: None)
    assert index.generation > before
    assert len(scanning.table_of(index, dataset)[0]) == 5
