"""Rows of tables are samples: embedded or by path, with captions from columns."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from tests.support.indexed import Counted, asks_nothing_twice, picture, scanned
from tests.support.pictures import make_folder
from trainer.data.sources import parquet, textrows
from trainer.data.sources.base import VARIANT, Kind
from trainer.data.sources.columns import CaptionColumns
from trainer.data.sources.table import Tables
from trainer.data.sources.tablenames import Columns
from trainer.errors import DataError

CAPTION = CaptionColumns(("caption",), None)


def png(number: int = 0) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (16 + number, 16), (number, 0, 0)).save(file, "PNG")
    return file.getvalue()


def table(
    path: Path | str,
    captions: CaptionColumns | None = CAPTION,
    kind: Kind = "image",
    **columns: str,
) -> Tables:
    return Tables(str(path), kind, Columns(**columns), captions)


def parquet_of(path: Path, columns: dict, *, group: int = 4) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns), path, row_group_size=group)
    return path


@pytest.fixture
def embedded(tmp_path: Path) -> Path:
    """Ten pictures in three row groups."""
    data = {"image": [png(n) for n in range(10)], "caption": [f"words {n}" for n in range(10)]}
    return parquet_of(tmp_path / "t.parquet", data)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return make_folder(tmp_path / "set", 5)


WRITERS = {
    "csv": lambda frame, path: frame.to_csv(path, index=False),
    "tsv": lambda frame, path: frame.to_csv(path, index=False, sep="\t"),
    "jsonl": lambda frame, path: frame.to_json(path, orient="records", lines=True),
    "json": lambda frame, path: frame.to_json(path, orient="records"),
    "parquet": lambda frame, path: frame.to_parquet(path),
}


# --- what is read --------------------------------------------------------------------------------


def test_embedded_pictures(embedded, database):
    """Rows are named by their number; the second scan opens nothing."""
    rows = asks_nothing_twice(table(embedded), database)
    assert list(rows) == [f"{n:010d}" for n in range(10)]
    row = rows["0000000007"]
    assert (row.facts.width, row.text) == (23, "words 7")
    assert picture(table(embedded), row).getpixel((0, 0)) == (7, 0, 0)


def test_pictures_as_hugging_face_embeds_them(tmp_path, database):
    """A struct of bytes and path."""
    cells = [{"bytes": png(n), "path": f"{n}.png"} for n in range(3)]
    path = parquet_of(tmp_path / "t.parquet", {"img": cells, "caption": ["a", "b", "c"]})
    rows = asks_nothing_twice(table(path), database)
    assert [r.facts.width for r in rows.values()] == [16, 17, 18]


@pytest.mark.parametrize("ending", WRITERS)
def test_paths_in_any_kind_of_table(folder, database, ending):
    """Relative to the table; written by pandas. Only listed files count."""
    captions = ['one, "two"', "line\nbreak", "ü 猫"]
    frame = pd.DataFrame(
        {"n": [1, 2, 3], "file_name": [f"set/p00{n}.png" for n in (3, 1, 2)], "caption": captions}
    )
    path = folder.parent / f"t.{ending}"
    WRITERS[ending](frame, path)
    rows = asks_nothing_twice(table(path), database)
    assert {name: row.text for name, row in rows.items()} == {
        "set/p003.png": 'one, "two"',
        "set/p001.png": "line\nbreak",
        "set/p002.png": "ü 猫",
    }
    with Image.open(folder / "p003.png") as expected:
        assert picture(table(path), rows["set/p003.png"]).tobytes() == expected.tobytes()


def test_prefix_and_ending_of_paths(folder, database):
    """As of a table with bare ids; a path that has an ending keeps it."""
    path = folder.parent / "t.csv"
    path.write_text("id,caption\np000,a\np001.png,b\nv1.5,c\n")
    source = table(path, media="id", prefix="set/", extension=".png")
    rows = scanned(source, database)
    assert {n: r.reason is None for n, r in rows.items()} == {
        "p000": True,
        "p001.png": True,
        "v1.5": False,
    }
    assert rows["v1.5"].locator.endswith("set/v1.5.png")


def test_rows_with_one_path_are_one_sample(folder, database):
    """As of data sets with several captions a picture, each in its own row; doubles fall away."""
    path = folder.parent / "t.csv"
    path.write_text(
        "path,caption\nset/p001.png,a\nset/p000.png,x\nset/p001.png,b\nset/p001.png,a\n"
    )
    rows = scanned(table(path), database)
    assert rows["set/p001.png"].text == f"a{VARIANT}b"
    assert rows["set/p000.png"].text == "x"


def test_names_from_a_column(embedded, tmp_path, database):
    """Sorted by name, whatever the order of the rows; numbers are names too."""
    ids = [10, 9, 100, 1, 2, 3, 4, 5, 6, 7]
    whole = pq.read_table(embedded).append_column("id", [ids])
    pq.write_table(whole, tmp_path / "n.parquet")
    rows = asks_nothing_twice(table(tmp_path / "n.parquet", name="id"), database)
    assert list(rows) == sorted(map(str, ids))
    assert {int(n): r.facts.width - 16 for n, r in rows.items()} == {
        number: row for row, number in enumerate(ids)
    }
    assert rows["100"].text == "words 2"


def test_a_folder_of_tables(tmp_path, database):
    """Rows are named by file and number; a new file leaves those of others alone."""
    for name in ("a", "c"):
        parquet_of(tmp_path / "set" / f"{name}.parquet", {"image": [png(1)], "caption": [name]})
    rows = asks_nothing_twice(table(tmp_path / "set"), database)
    assert list(rows) == ["a.parquet/0000000000", "c.parquet/0000000000"]
    parquet_of(tmp_path / "set" / "b.parquet", {"image": [png(2)], "caption": ["b"]})
    source = Counted(table(f"{tmp_path}/set/*.parquet"))
    rows = scanned(source, database)
    assert set(source.opened) == set(source.captioned) == {"b.parquet/0000000000"}
    fresh = table(tmp_path / "set")
    assert picture(fresh, rows["c.parquet/0000000000"]).width == 17
    assert [row.text for row in rows.values()] == ["a", "b", "c"]


def test_captions_alone(tmp_path, database):
    """A dataset of texts: the text of a row is the sample."""
    path = tmp_path / "t.csv"
    path.write_text("caption\none\n\ntwo\n")
    source = table(path, kind="caption")
    index = scanned(source, database, "caption")
    assert [row.text for row in index.values()] == ["one", "two"]
    row = index["0000000001"]
    assert source.open(row.relpath, row.locator).read() == b"two"


# --- captions ------------------------------------------------------------------------------------


def texts(path: Path, database: Path, *columns: str, fallback: str | None = None) -> list:
    rows = scanned(table(path, CaptionColumns(columns, fallback)), database)
    return [row.text or row.text_reason for row in rows.values()]


def test_several_columns_lists_and_a_fallback(tmp_path, database):
    """Texts and lists are variants, tags one text; empty and null cells lead to the fallback."""
    columns = {
        "image": [png(n) for n in range(4)],
        "a": ["one", "", None, "  "],
        "b": [["two", "three"], None, [], ["", None]],
        "tags": [["x", "y"], None, None, None],
        "alt": ["never", "alt", None, "other"],
    }
    path = parquet_of(tmp_path / "t.parquet", columns)
    none = "row 3 has no text in its caption columns"
    expected = [VARIANT.join(["one", "two", "three", "x, y"]), "alt", none, "other"]
    assert texts(path, database, "a", "b", "tags", fallback="alt") == expected


def test_nested_columns(tmp_path):
    """`a.b` reaches into structures of Parquet and objects of JSON."""
    cells = [{"text": {"short": "s", "long": ["l", "m"]}, "n": 1}]
    path = parquet_of(tmp_path / "t.parquet", {"image": [png()], "json": cells})
    assert texts(path, tmp_path / "p" / "1.db", "json.text.long") == [f"l{VARIANT}m"]
    Path(tmp_path / "x.png").write_bytes(png())
    lines = tmp_path / "t.jsonl"
    lines.write_text(json.dumps({"path": "x.png", "json": cells[0], "a.b": "dotted"}))
    assert texts(lines, tmp_path / "p" / "2.db", "json.text.short") == ["s"]
    assert texts(lines, tmp_path / "p" / "3.db", "a.b") == ["dotted"]


def test_the_usual_caption_column_is_found(embedded, tmp_path):
    """Without naming one."""
    assert texts(embedded, tmp_path / "p" / "1.db")[3] == "words 3"


def test_an_edited_caption_is_read_again(folder, database):
    """The table changed, the pictures did not: none is opened."""
    path = folder.parent / "t.csv"
    path.write_text("path,caption\nset/p000.png,a\nset/p001.png,b\n")
    scanned(table(path), database)
    path.write_text("path,caption\nset/p000.png,a\nset/p001.png,other\n")
    source = Counted(table(path))
    assert [r.text for r in scanned(source, database).values()] == ["a", "other"]
    assert source.opened == []


def test_captions_of_one_picture_in_two_tables(folder, database):
    """An edit in either is noticed."""
    tables = folder.parent / "tables"
    tables.mkdir()
    for name, text in (("a", "one"), ("b", "two")):
        (tables / f"{name}.csv").write_text(f"path,caption\n{folder}/p000.png,{text}\n")
    assert [r.text for r in scanned(table(tables), database).values()] == [f"one{VARIANT}two"]
    (tables / "b.csv").write_text(f"path,caption\n{folder}/p000.png,other\n")
    assert [r.text for r in scanned(table(tables), database).values()] == [f"one{VARIANT}other"]


# --- memory and reading --------------------------------------------------------------------------


def test_only_asked_columns_are_read(embedded, monkeypatch):
    """Names and captions are read without the pictures beside them."""
    asked = []
    batches = pq.ParquetFile.iter_batches

    def spied(self, *args, columns, **rest):
        asked.extend(columns)
        return batches(self, *args, columns=columns, **rest)

    monkeypatch.setattr(pq.ParquetFile, "iter_batches", spied)
    source = table(embedded, name="caption")
    source.caption(next(iter(source.listing())))
    assert set(asked) == {"caption"}


def test_neighbours_share_a_row_group(embedded, database, monkeypatch):
    """Ten embedded pictures in three groups cost three reads; kept groups are bounded."""
    read = []
    group = pq.ParquetFile.read_row_group
    monkeypatch.setattr(
        pq.ParquetFile,
        "read_row_group",
        lambda self, n, **rest: read.append(n) or group(self, n, **rest),
    )
    source = table(embedded)
    for found in source.listing():
        source.open(found.relpath, found.locator)
    assert read == [0, 1, 2]
    monkeypatch.setattr(parquet, "KEPT", 1)
    source = table(embedded)
    for found in [*source.listing(), *source.listing()]:
        source.open(found.relpath, found.locator)
    assert read[3:] == [0, 1, 2, 0, 1, 2]


@pytest.mark.parametrize("piece", [1, 7, 64])
def test_a_json_list_is_read_in_pieces(tmp_path, monkeypatch, piece):
    """Whatever the pieces are, the rows are the same."""
    rows = [{"path": f"{n}.png", "caption": 'ü"]},{[' * n} for n in range(9)]
    (tmp_path / "t.json").write_text(json.dumps(rows, indent=1, ensure_ascii=False))
    monkeypatch.setattr(textrows, "PIECE", piece)
    read = textrows.JsonRows(tmp_path / "t.json").read(("path", "caption"))
    assert list(read) == [(r["path"], r["caption"]) for r in rows]


# --- what can be wrong -----------------------------------------------------------------------


def told(source: Tables, code: str) -> str:
    with pytest.raises(DataError) as error:
        list(source.listing())
    assert error.value.finding.code == code
    return error.value.finding.message + error.value.finding.fix


@pytest.mark.parametrize(
    "columns",
    [{"media": "imgae"}, {"name": "imgae"}, {"captions": CaptionColumns(("imgae",), None)}],
)
def test_a_column_that_is_not_there(embedded, columns):
    """The columns that are there are listed, with the nearest name."""
    message = told(table(embedded, **columns), "DAT028")
    assert "columns: image, caption" in message
    assert "'image'" in message


def test_no_column_looks_right(tmp_path):
    """Neither pictures nor captions can be guessed; two columns of bytes neither."""
    path = parquet_of(tmp_path / "a.parquet", {"x": [1], "y": ["z"]})
    assert "columns: x, y" in told(table(path, None), "DAT028")
    path = parquet_of(tmp_path / "b.parquet", {"one": [b"x"], "two": [b"y"]})
    assert "one, two" in told(table(path, None), "DAT028")
    path = parquet_of(tmp_path / "c.parquet", {"image": [b"x"], "words": ["y"]})
    assert "columns: image, words" in told(table(path, CaptionColumns((), None)), "DAT028")


def test_addresses_are_never_fetched(tmp_path):
    """The finding names the command that does it once."""
    path = tmp_path / "t.csv"
    path.write_text("url,caption\nhttps://example.org/a.png,x\n")
    message = told(table(path), "DAT029")
    assert "https://example.org/a.png" in message
    assert "data fetch" in message


def test_names_must_differ(embedded, folder):
    """Embedded pictures with one name, a row without one, and one name for two paths."""
    whole = pq.read_table(embedded)
    for ids, what in ((["a"] * 10, "rows 1 and 2"), (["a", None, *"cdefghij"], "row 2")):
        path = embedded.with_name("n.parquet")
        pq.write_table(whole.append_column("id", [ids]), path)
        assert what in told(table(path, name="id"), "DAT030")
    path = folder.parent / "t.csv"
    path.write_text("id,path,caption\nx,set/p000.png,a\nx,set/p001.png,b\n")
    assert "rows 1 and 2" in told(table(path, name="id"), "DAT030")


def test_an_empty_table_has_no_samples(tmp_path, database):
    """Columns without rows; the funnel tells that nothing was found."""
    empty = {"image": pa.array([], pa.binary()), "caption": pa.array([], pa.string())}
    path = parquet_of(tmp_path / "t.parquet", empty)
    assert scanned(table(path), database) == {}
    (tmp_path / "t.csv").write_text("path,caption\n")
    assert scanned(table(tmp_path / "t.csv"), tmp_path / "i" / "c.db") == {}


BROKEN = {
    "cut.parquet": b"PAR1 and then nothing",
    "empty.parquet": b"",
    "empty.csv": b"",
    "uneven.csv": b"path,caption\na.png,x\nb.png,y,z\n",
    "latin.csv": b"path,caption\ncaf\xe9.png,x\n",
    "bad.jsonl": b'{"path": "a.png", "caption": "x"}\n{"path": ',
    "list.jsonl": b"[1]\n",
    "object.json": b'{"path": "a.png"}',
    "open.json": b'[{"path": "a.png", "caption": "x"}',
    "comma.json": b'[{"path": "a.png", "caption": "x"} {"path": "b.png"}]',
    "utf.jsonl": b"\xff\xfe",
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_table_that_is_damaged(tmp_path, name):
    """Is named with the cause; no traceback of the library."""
    path = tmp_path / name
    path.write_bytes(BROKEN[name])
    message = told(table(path), "DAT027")
    assert str(path) in message


def test_captions_that_are_damaged(tmp_path, database):
    """Found when they are read, told in the same way."""
    (tmp_path / "t.csv").write_bytes(b"path,caption\na.png,caf\xe9\n")
    with pytest.raises(DataError) as error:
        scanned(table(tmp_path / "t.csv"), database)
    assert error.value.finding.code == "DAT027"


@pytest.mark.parametrize("name", ["nowhere.csv", "empty", "notes.txt", "*.csv"])
def test_no_table(tmp_path, name):
    """A path that is not there, an empty folder, a file that is no table, an empty pattern."""
    (tmp_path / "empty").mkdir()
    (tmp_path / "notes.txt").write_text("x")
    told(table(tmp_path / name), "DAT026")


def test_a_table_that_changed_since_the_scan_is_refused(embedded, database):
    """A row number may mean another picture now."""
    source = table(embedded)
    row = scanned(source, database)["0000000003"]
    parquet_of(embedded, {"image": [png(50 - n) for n in range(10)], "caption": ["x"] * 10})
    for reader in (source, table(embedded)):
        with pytest.raises(OSError, match="changed since it was scanned"):
            reader.open(row.relpath, row.locator)
    assert scanned(table(embedded), database)["0000000003"].facts.width == 63


def test_pictures_that_cannot_be_had(tmp_path, folder, database):
    """Empty cells, bytes that are no picture, missing files and impossible paths have a reason;
    a missing file is looked for again."""
    cells = [png(), None, b"", b"no picture"]
    path = parquet_of(tmp_path / "t.parquet", {"image": cells, "caption": list("abcd")})
    reasons = [row.reason for row in scanned(table(path), database).values()]
    assert reasons[0] is None
    assert reasons[1:3] == ["row 2 is empty", "the file is empty"]
    assert reasons[3]
    paths = tmp_path / "t.jsonl"
    lines = [{"path": p, "caption": "x"} for p in ("later.png", "a\0b.png", "\ud800.png", None, "")]
    paths.write_text("\n".join(json.dumps(line) for line in lines))
    rows = scanned(table(paths), tmp_path / "i" / "p.db")
    assert len(rows) == 5
    assert all(row.reason for row in rows.values())
    (tmp_path / "later.png").write_bytes(png())
    assert scanned(table(paths), tmp_path / "i" / "p.db")["later.png"].reason is None


def test_a_link_in_place_of_bytes(tmp_path, folder, database):
    """Hugging Face tables whose pictures were not embedded hold only paths, all or some."""
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    links = [{"bytes": None, "path": f"set/p00{n}.png"} for n in range(2)]
    for name, cells in (("all", links), ("some", [*links, {"bytes": png(), "path": None}])):
        data = {"image": pa.array(cells, kind), "caption": ["x"] * len(cells)}
        path = parquet_of(tmp_path / f"{name}.parquet", data)
        rows = scanned(table(path), tmp_path / "i" / f"{name}.db")
        assert [row.reason for row in rows.values()] == [None] * len(cells)
        assert rows[min(rows)].facts.width == 64


def test_very_long_names_and_captions(tmp_path, database):
    """Neither is cut."""
    (tmp_path / "t.csv").write_text(f"path,caption\n{'x' * 5000}.png,{'y' * 200_000}\n")
    (row,) = scanned(table(tmp_path / "t.csv"), database).values()
    assert len(row.relpath) == 5004
    assert row.reason
    assert len(row.text or "") == 200_000


def test_a_byte_order_mark_is_no_part_of_a_column(folder, database):
    """As of tables from spreadsheets."""
    path = folder.parent / "t.csv"
    path.write_bytes(b"\xef\xbb\xbfpath,caption\r\nset/p000.png,a\r\n")
    assert [r.text for r in scanned(table(path), database).values()] == ["a"]


def test_the_missing_library_is_named(embedded, monkeypatch):
    """Without pyarrow, the extra that brings it is told."""
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    with pytest.raises(DataError) as error:
        list(table(embedded).listing())
    assert "simpletuner-terminal[train]" in error.value.finding.fix
