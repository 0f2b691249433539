"""Rows of Hugging Face datasets are samples, wherever and however the dataset was saved."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from PIL import Image

from tests.support.indexed import Counted, asks_nothing_twice, picture, scanned
from tests.support.pictures import make_folder
from trainer.data.sources.base import VARIANT
from trainer.data.sources.columns import CaptionColumns
from trainer.data.sources.hf import HubColumns, HubDataset
from trainer.data.sources.hub import Wanted
from trainer.errors import DataError

datasets = pytest.importorskip("datasets", reason="the extra hub is not installed")
CAPTION = CaptionColumns(("caption",), None)


@pytest.fixture(autouse=True)
def _own_cache(monkeypatch, tmp_path: Path) -> None:
    for name in ("HF_DATASETS_CACHE", "HF_CACHE_HOME"):
        monkeypatch.setattr(datasets.config, name, str(tmp_path / "hf"), raising=False)


def png(number: int) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (16 + number, 16), (number, 0, 0)).save(file, "PNG")
    return file.getvalue()


def made(count: int = 4, start: int = 0):
    """A dataset with pictures, captions and names."""
    rows = {
        "id": [f"n{9 - n}" for n in range(count)],
        "picture": [{"bytes": png(start + n), "path": None} for n in range(count)],
        "caption": [f"words {n}" for n in range(count)],
        "meta": [{"alt": [f"alt {n}", ""]} for n in range(count)],
    }
    return datasets.Dataset.from_dict(rows).cast_column("picture", datasets.Image())


def source(path: Path | str, captions=CAPTION, split="train", subset=None, **columns) -> HubDataset:
    wanted = Wanted(path=str(path), split=split, subset=subset)
    return HubDataset(wanted, "image", HubColumns(**columns), captions)


def test_a_saved_dataset(tmp_path, database):
    """Pictures by their type, undecoded; the second scan opens nothing."""
    made().save_to_disk(tmp_path / "d")
    rows = asks_nothing_twice(source(tmp_path / "d"), database)
    assert list(rows) == [f"{n:010d}" for n in range(4)]
    assert (rows["0000000002"].facts.width, rows["0000000002"].text) == (18, "words 2")
    assert picture(source(tmp_path / "d"), rows["0000000003"]).getpixel((0, 0)) == (3, 0, 0)


def test_bytes_are_those_that_were_saved(tmp_path, database):
    """Not decoded and encoded again: contents keep their digest wherever they lie."""
    made().save_to_disk(tmp_path / "d")
    data = source(tmp_path / "d")
    row = scanned(data, database)["0000000001"]
    assert data.open(row.relpath, row.locator).read() == png(1)


def test_a_split_of_several(tmp_path, database):
    """And one that is not there is told with those that are."""
    both = datasets.DatasetDict(train=made(2), test=made(3))
    both.save_to_disk(tmp_path / "d")
    assert len(list(source(tmp_path / "d", split="test").listing())) == 3
    assert "train, test" in told(source(tmp_path / "d", split="valid"), "DAT031")


def test_names_from_a_column(tmp_path, database):
    """Sorted by name; shuffled views keep row and name together."""
    made().shuffle(seed=1).save_to_disk(tmp_path / "d")
    rows = asks_nothing_twice(source(tmp_path / "d", name="id"), database)
    assert [(n, r.text, r.facts.width) for n, r in rows.items()] == [
        (f"n{9 - n}", f"words {n}", 16 + n) for n in (3, 2, 1, 0)
    ]


def test_nested_and_fallback_captions(tmp_path, database):
    """Lists are variants; an empty column leads to the fallback."""
    made(2).save_to_disk(tmp_path / "d")
    captions = CaptionColumns(("meta.alt", "caption"), None)
    rows = scanned(source(tmp_path / "d", captions), database)
    assert rows["0000000001"].text == f"alt 1{VARIANT}words 1"
    empty = made(1).map(lambda row: {"caption": " "})
    empty.save_to_disk(tmp_path / "e")
    rows = scanned(source(tmp_path / "e"), tmp_path / "i" / "e.db")
    assert rows["0000000000"].text_reason == "row 1 has no text in its caption columns"
    fallback = CaptionColumns(("caption",), "id")
    rows = scanned(source(tmp_path / "e", fallback), tmp_path / "i" / "f.db")
    assert rows["0000000000"].text == "n9"


def test_a_folder_laid_out_as_a_hub_repository(tmp_path, database):
    """Parquet files by split; what changed is noticed by the fingerprint in the identity."""
    made(3).to_parquet(tmp_path / "d" / "data" / "train-00000-of-00001.parquet")
    made(1).to_parquet(tmp_path / "d" / "data" / "test-00000-of-00001.parquet")
    data = source(tmp_path / "d")
    assert [r.text for r in asks_nothing_twice(data, database).values()] == [
        f"words {n}" for n in range(3)
    ]
    assert len(list(source(tmp_path / "d", split="test").listing())) == 1
    assert source(tmp_path / "d").identity == data.identity
    made(3, start=9).to_parquet(tmp_path / "d" / "data" / "train-00000-of-00001.parquet")
    changed = source(tmp_path / "d")
    assert changed.identity != data.identity
    assert [r.facts.width for r in scanned(changed, database).values()] == [25, 26, 27]


def test_a_folder_of_pictures(tmp_path, database):
    """The layout of loose files with a table of captions; pictures are read from the files."""
    folder = make_folder(tmp_path / "d" / "train", 3)
    lines = ["file_name,caption", *(f"p00{n}.png,words {n}" for n in range(3))]
    (folder / "metadata.csv").write_text("\n".join(lines))
    for text in folder.glob("*.txt"):
        text.unlink()
    rows = asks_nothing_twice(source(tmp_path / "d"), database)
    assert [(r.facts.width, r.text) for r in rows.values()] == [
        (64, f"words {n}") for n in range(3)
    ]


def test_loaded_once(tmp_path, database, monkeypatch):
    """Identity, listing and reading share one load."""
    made().save_to_disk(tmp_path / "d")
    loads = []
    load = datasets.load_from_disk
    monkeypatch.setattr(datasets, "load_from_disk", lambda path: loads.append(path) or load(path))
    data = Counted(source(tmp_path / "d"))
    assert data.identity
    scanned(data, database)
    assert len(loads) == 1


# --- what can be wrong -----------------------------------------------------------------------


def told(data: HubDataset, code: str) -> str:
    with pytest.raises(DataError) as error:
        list(data.listing())
    assert error.value.finding.code == code
    return error.value.finding.message


def test_a_missing_column(tmp_path):
    """The columns that there are are listed."""
    made(1).save_to_disk(tmp_path / "d")
    for wrong in (
        source(tmp_path / "d", CaptionColumns(("captoin",), None)),
        source(tmp_path / "d", media="captoin"),
        source(tmp_path / "d", name="captoin"),
        source(tmp_path / "d", CaptionColumns(("meta.alt", "captoin"), None)),
    ):
        assert "columns: id, picture, caption, meta" in told(wrong, "DAT028")


def test_no_pictures(tmp_path):
    """A dataset of texts."""
    datasets.Dataset.from_dict({"caption": ["x"]}).save_to_disk(tmp_path / "d")
    assert "columns: caption" in told(source(tmp_path / "d"), "DAT028")


def test_names_that_are_missing_or_shared(tmp_path):
    """As in tables."""
    rows = {"id": ["a", "a"], "picture": [{"bytes": png(0), "path": None}] * 2}
    whole = datasets.Dataset.from_dict(rows).cast_column("picture", datasets.Image())
    whole.save_to_disk(tmp_path / "d")
    assert "rows 1 and 2" in told(source(tmp_path / "d", None, name="id"), "DAT030")


@pytest.mark.parametrize("what", ["nowhere", "empty", "cut"])
def test_a_dataset_that_cannot_be_loaded(tmp_path, what):
    """Nothing at the path, an empty folder, a damaged file."""
    (tmp_path / "empty").mkdir()
    (tmp_path / "cut").mkdir()
    (tmp_path / "cut" / "state.json").write_text("{")
    assert str(tmp_path / what) in told(source(tmp_path / what), "DAT031")


def test_an_unknown_subset(tmp_path):
    """Told with the cause that the library gives."""
    made(1).to_parquet(tmp_path / "d" / "data" / "train-00000-of-00001.parquet")
    assert "other" in told(source(tmp_path / "d", subset="other"), "DAT031")


def test_empty_cells_have_a_reason(tmp_path, database):
    """They are rows that cannot be used."""
    rows = {"picture": [{"bytes": png(0), "path": None}, None], "caption": ["a", "b"]}
    whole = datasets.Dataset.from_dict(rows).cast_column("picture", datasets.Image())
    whole.save_to_disk(tmp_path / "d")
    rows = scanned(source(tmp_path / "d"), database)
    assert [r.reason for r in rows.values()] == [None, "row 2 is empty"]


def test_the_missing_library_is_named(tmp_path, monkeypatch):
    """Without datasets, the extra that brings it is told."""
    monkeypatch.setitem(__import__("sys").modules, "datasets", None)
    with pytest.raises(DataError) as error:
        list(source(tmp_path).listing())
    assert "simpletuner-terminal[hub]" in error.value.finding.fix
