"""Files in tar shards are samples, read by their position; unchanged shards are read once."""

from __future__ import annotations

import gzip
import io
import os
import shutil
import tarfile
from pathlib import Path

import pytest
from PIL import Image

from tests.support.indexed import Counted, asks_nothing_twice, picture, scanned
from tests.support.pictures import make_folder
from tests.unit.trainer.data.sources.conftest import put
from trainer.data.captions import CaptionFile, parse_json, parse_text
from trainer.data.sources import tar as module
from trainer.data.sources.members import contents
from trainer.data.sources.shards import LocalShards, RemoteShards, Shards
from trainer.data.sources.tar import Tars
from trainer.errors import DataError

TEXT = CaptionFile(".txt", ".txt", parse_text)
JSON = CaptionFile(".json", "json", lambda data, name: parse_json(data, name, ()))


def png(number: int = 0) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (16 + number, 16), (number, 0, 0)).save(file, "PNG")
    return file.getvalue()


def write(path: Path, files: list[tuple[str, bytes]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as tar:
        for name, data in files:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return path


@pytest.fixture
def shards(tmp_path: Path) -> Path:
    """Two shards as WebDataset writes them: six samples with captions and classes."""
    wds = pytest.importorskip("webdataset")
    root = tmp_path / "shards"
    root.mkdir()
    for shard in range(2):
        with wds.TarWriter(str(root / f"{shard:06d}.tar")) as sink:
            for number in range(3):
                sample = {"png": png(3 * shard + number), "txt": f"words {number}", "cls": 7}
                sink.write({"__key__": f"sub/{number:04d}", **sample})
    return root


@pytest.fixture
def source(tmp_path: Path):
    """Makes a source over a path or over shards."""

    def make(place: Path | str | Shards, caption=TEXT, suffix=None, kind="image") -> Tars:
        shards = LocalShards(str(place)) if isinstance(place, Path | str) else place
        return Tars(shards, kind, caption, suffix, tmp_path / "state")

    return make


@pytest.fixture
def passes(monkeypatch) -> list[int]:
    """Grows with each pass over the headers of a shard."""
    done: list[int] = []

    def counted(file):
        done.append(1)
        return contents(file)

    monkeypatch.setattr(module, "contents", counted)
    return done


def test_shards_of_webdataset(shards, source, database, passes):
    """Samples and captions are found and read; the second scan opens nothing, not even a tar."""
    rows = asks_nothing_twice(source(shards), database)
    assert list(rows) == [f"{s:06d}.tar/sub/{n:04d}.png" for s in range(2) for n in range(3)]
    assert len(passes) == 2
    row = rows["000001.tar/sub/0002.png"]
    assert (row.facts.width, row.text) == (21, "words 2")
    assert picture(source(shards), row).getpixel((0, 0)) == (5, 0, 0)


def test_a_run_that_does_not_scan_can_read(shards, source, database):
    """The index of the last scan is enough to open samples."""
    row = scanned(source(shards), database)["000000.tar/sub/0001.png"]
    assert picture(source(shards), row).size == (17, 16)


def test_a_new_shard_costs_one_pass(shards, source, database, passes):
    """And its samples; those of the others are known. A shard that is gone takes its own along."""
    scanned(source(shards), database)
    passes.clear()
    write(shards / "000002.tar", [("a.png", png())])
    (shards / "000000.tar").unlink()
    counted = Counted(source(shards))
    rows = scanned(counted, database)
    assert len(rows) == 4
    assert set(counted.opened) == {"000002.tar/a.png"}
    assert len(passes) == 1


def test_a_rewritten_shard_is_looked_at_anew(shards, source, database):
    """Its samples get new facts and contents; until then it is not read by old positions."""
    old = source(shards)
    row = scanned(old, database)["000000.tar/sub/0000.png"]
    write(shards / "000000.tar", [("sub/0000.png", png(9)), ("sub/0000.txt", b"other")])
    for reader in (old, source(shards)):
        with pytest.raises(OSError, match=r"000000\.tar changed"):
            reader.open(row.relpath, row.locator).read()
    rows = scanned(source(shards), database)
    assert rows["000000.tar/sub/0000.png"].text == "other"
    assert rows["000000.tar/sub/0000.png"].facts.width == 25
    assert len(rows) == 4


def test_one_key_is_one_sample(tmp_path, source, database):
    """What has the key of a sample and more in its name is a side file, or a partner."""
    files = [
        ("a.png", png()),
        ("a.edge.png", png(1)),
        ("a.mask.png", png(2)),
        ("a.txt", b"of a"),
        ("v1.2.png", png(3)),
        ("v1.txt", b"of v1"),
        ("._a.png", b"hidden"),
        ("a.cls", b"3"),
    ]
    path = write(tmp_path / "x.tar", files)
    rows = scanned(source(path), database)
    assert {name: row.text for name, row in rows.items()} == {
        "x.tar/a.png": "of a",
        "x.tar/v1.2.png": "of v1",
    }
    masks = scanned(source(path, None, ".mask"), tmp_path / "masks" / "m.db")
    assert list(masks) == ["x.tar/a.mask.png"]


def test_captions_from_json_members(tmp_path, source, database):
    """As many published shards have them."""
    path = write(tmp_path / "x.tar", [("a.png", png()), ("a.json", b'{"caption": "words"}')])
    assert scanned(source(path, JSON), database)["x.tar/a.png"].text == "words"


def test_of_two_files_with_one_name_the_later_counts(tmp_path, source, database):
    """As when the tar is unpacked."""
    path = write(tmp_path / "x.tar", [("a.png", png(1)), ("b.png", png()), ("./a.png", png(2))])
    rows = scanned(source(path), database)
    assert list(rows) == ["x.tar/a.png", "x.tar/b.png"]
    assert rows["x.tar/a.png"].facts.width == 18


def test_names_of_any_kind(tmp_path, source, database):
    """Unicode, more than 100 and 255 bytes, and bytes that are no text."""
    names = ["ü/猫.png", "d" * 90 + "/" + "n" * 90 + ".png", "l" * 400 + ".png"]
    path = write(tmp_path / "x.tar", [(name, png()) for name in [*names, "caf\udce9.png"]])
    rows = scanned(source(path), database)
    assert set(rows) == {f"x.tar/{name}" for name in [*names, "caf\\udce9.png"]}
    assert all(picture(source(path), row).width == 16 for row in rows.values())


def test_places(shards, source, database, tmp_path):
    """A folder at any depth, one shard, or a pattern."""
    (shards / "deep").mkdir()
    shutil.copy(shards / "000000.tar", shards / "deep" / "x.tar")
    assert len(list(source(shards).listing())) == 9
    assert len(list(source(shards / "000001.tar").listing())) == 3
    some = list(source(f"{shards}/*0.tar").listing())
    assert [f.relpath for f in some] == [f"000000.tar/sub/{n:04d}.png" for n in range(3)]
    deep = list(source(f"{shards}/**/x.tar").listing())
    assert deep[0].relpath == "deep/x.tar/sub/0000.png"


def test_order_of_shards_is_that_of_paths(tmp_path, source):
    """ "a.tar-b.tar/x" comes before "a.tar/x"."""
    for name in ("a.tar", "a.tar-b.tar", "a.tar.tar"):
        write(tmp_path / "s" / name, [("z.png", png()), ("(.png", png())])
    found = [f.relpath for f in source(tmp_path / "s").listing()]
    assert found == sorted(found)
    assert len(found) == 6


# --- what can be wrong -----------------------------------------------------------------------


@pytest.mark.parametrize("cut", [0, 100, 550, 700, 1024, 1300, 2100, 2600])
def test_a_truncated_shard_keeps_what_is_whole(tmp_path, source, database, cut):
    """Samples before the cut are used, and a row says what is missing; nothing fails."""
    path = write(tmp_path / "x.tar", [(f"{n}.png", png(n)) for n in range(3)])
    os.truncate(path, cut)
    rows = scanned(source(path), database)
    told = rows.pop("x.tar/(shard)", None)
    assert (told is None) == (cut == 1024)  # cut between two files: a tar without its end
    assert told is None or told.reason
    assert len(rows) == sum(1024 * n + 512 + len(png(n)) <= cut for n in range(3))
    assert all(picture(source(path), row).height == 16 for row in rows.values())


def test_a_damaged_header_is_told(tmp_path, source, database):
    """What follows it is lost, and that is said."""
    path = write(tmp_path / "x.tar", [(f"{n}.png", png(n)) for n in range(3)])
    data = bytearray(path.read_bytes())
    data[1024 + 5] ^= 0xFF
    path.write_bytes(data)
    rows = scanned(source(path), database)
    assert rows["x.tar/(shard)"].reason == (
        "it has a broken header at byte 1024; 1 files before that are used"
    )


def test_two_tars_in_one_file_are_told(tmp_path, source, database):
    """A tar that was appended with cat is not silently half read."""
    path = write(tmp_path / "x.tar", [("a.png", png())])
    path.write_bytes(path.read_bytes()[:2048] + path.read_bytes())
    assert "another tar" in (scanned(source(path), database)["x.tar/(shard)"].reason or "")


def test_a_mended_shard_is_taken_up(tmp_path, source, database):
    """The fault goes with the file that had it."""
    path = write(tmp_path / "x.tar", [("a.png", png())])
    whole = path.read_bytes()
    path.write_bytes(b"no tar at all, but long enough to be a header" * 20)
    assert "not a tar" in (scanned(source(path), database)["x.tar/(shard)"].reason or "")
    path.write_bytes(whole)
    assert list(scanned(source(path), database)) == ["x.tar/a.png"]


@pytest.mark.parametrize("name", ["x.tar.gz", "x.tgz", "x.tar"])
def test_a_compressed_shard_is_refused(tmp_path, source, name):
    """By its name or, where that hides it, by its first bytes."""
    path = write(tmp_path / "plain.tar", [("a.png", png())])
    packed = tmp_path / "s" / name
    packed.parent.mkdir()
    packed.write_bytes(gzip.compress(path.read_bytes()))
    for place in (packed, packed.parent):
        with pytest.raises(DataError) as error:
            list(source(place).listing())
        assert error.value.finding.code == "DAT025"
        assert name in error.value.finding.message


def test_no_shards(tmp_path, source):
    """Neither at a path that is not there, nor in a folder without any."""
    (tmp_path / "empty").mkdir()
    for place in (tmp_path / "nowhere", tmp_path / "empty", f"{tmp_path}/*.tar"):
        with pytest.raises(DataError) as error:
            list(source(place).listing())
        assert error.value.finding.code == "DAT026"


def test_an_empty_shard_has_no_samples(tmp_path, source, database):
    """A tar of zeros is whole."""
    write(tmp_path / "x.tar", [])
    assert scanned(source(tmp_path / "x.tar"), database) == {}


# --- in a bucket -------------------------------------------------------------------------------


def test_shards_in_a_bucket(bucket, shards, source, database, passes):
    """As on disk; contents are known without reading them, and nothing is asked twice."""
    for path in sorted(shards.iterdir()):
        put(bucket, f"sets/wds/{path.name}", path.read_bytes())
    remote = source(RemoteShards(bucket, "sets/wds/"))
    rows = asks_nothing_twice(remote, database)
    assert len(passes) == 2
    assert list(rows) == [f"{s:06d}.tar/sub/{n:04d}.png" for s in range(2) for n in range(3)]
    assert rows["000001.tar/sub/0001.png"].text == "words 1"
    assert picture(remote, rows["000001.tar/sub/0001.png"]).size == (20, 16)
    assert len({row.content for row in rows.values()}) == 6
    one = source(RemoteShards(bucket, "sets/*/000001.tar"))
    assert next(one.listing()).relpath == "wds/000001.tar/sub/0000.png"


def test_a_shard_in_a_bucket_that_changed(bucket, shards, source, database):
    """Is not read by positions of the old one."""
    put(bucket, "x.tar", (shards / "000000.tar").read_bytes())
    remote = source(RemoteShards(bucket, ""))
    row = scanned(remote, database)["x.tar/sub/0000.png"]
    put(bucket, "x.tar", (shards / "000001.tar").read_bytes())
    with pytest.raises(OSError, match="replaced"):
        remote.open(row.relpath, row.locator).read()
    with pytest.raises(OSError, match="changed"):
        source(RemoteShards(bucket, "")).open(row.relpath, row.locator)


def test_no_shards_in_a_bucket(bucket, source):
    """The place is named as it was given."""
    with pytest.raises(DataError) as error:
        list(source(RemoteShards(bucket, "sets/")).listing())
    assert error.value.finding.code == "DAT026"
    assert f"s3://{bucket.place.bucket}/sets/" in error.value.finding.message


def test_a_folder_and_its_tar_are_the_same_samples(tmp_path, source, database):
    """Captions, sizes and contents agree, so caches are shared."""
    from trainer.data.sources.local import Folder

    folder = make_folder(tmp_path / "set", 4)
    with tarfile.open(tmp_path / "set.tar", "w") as tar:
        for path in folder.iterdir():
            tar.add(path, path.name)
    packed = scanned(source(tmp_path / "set.tar"), database)
    plain = scanned(Folder(folder, "image", TEXT), tmp_path / "plain" / "f.db")
    known = {name: (row.facts, row.text, row.content) for name, row in plain.items()}
    assert known == {
        name.removeprefix("set.tar/"): (row.facts, row.text, row.content)
        for name, row in packed.items()
    }
