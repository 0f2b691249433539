"""Export and import: the same entries elsewhere, nothing believed unchecked, no half shard."""

from __future__ import annotations

import io
import json
import random
import signal
import tarfile
from contextlib import closing
from pathlib import Path

import pytest
from safetensors.numpy import load

from tests.support import cached, child
from tests.support.cached import key, on_disk, put, raw, run_dir, stored, use
from trainer.cache import export as exporting
from trainer.cache.export import export
from trainer.cache.importing import take_in
from trainer.cache.tables import open_index, shard_path
from trainer.errors import DataError

SIZE = 500


@pytest.fixture
def source(tmp_path, monkeypatch) -> Path:
    """A cache with three shards of latents and one of text; exported four entries a shard."""
    monkeypatch.setattr(exporting, "SHARD_BYTES", 4 * SIZE)
    root = tmp_path / "source"
    for first in (0, 5, 10):
        put(root, range(first, first + 5), size=SIZE)
    with closing(cached.objects(root, "text", "t5")) as text:
        text.put_raw({key(100): raw(100)}, {})
        text.describe({"weights": "abc"})
    return root


def members(file: Path) -> dict[str, bytes]:
    with tarfile.open(file) as tar:
        return {m.name: tar.extractfile(m).read() for m in tar}  # type: ignore[union-attr]


def write_tar(file: Path, parts: dict[str, bytes]) -> None:
    with tarfile.open(file, "w") as tar:
        for name, data in parts.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))


def test_everything_arrives_once(source, tmp_path):
    """All entries, bit for bit, with what their encoders are made of; twice changes nothing."""
    file, there = tmp_path / "cache.tar", tmp_path / "there"
    sent = export(source, file)
    assert (sent.entries, sent.damaged) == (16, 0)
    taken = take_in(there, file)
    assert (taken.entries, taken.known, taken.damaged) == (16, 0, 0)
    assert stored(there) == {*range(15), 100}
    with closing(cached.objects(there, "text", "t5")) as text:
        assert text.read(key(100)).data == raw(100).data
    with closing(open_index(there)) as db:
        assert db.execute("SELECT * FROM encoder").fetchall() == [
            ("text", "t5", '{"weights": "abc"}')
        ]
    before = on_disk(there)
    again = take_in(there, file)
    assert (again.entries, again.known) == (0, 16)
    assert on_disk(there) == before
    shards = {name: data for name, data in members(file).items() if name.endswith(".st")}
    assert len(shards) == 5
    assert sum(len(load(data)) for data in shards.values()) == 16


def test_import_merges(source, tmp_path):
    """Entries that are there stay, the others are added; failures of old are overcome."""
    file, there = tmp_path / "cache.tar", tmp_path / "there"
    export(source, file)
    put(there, [3, 4, 500], size=SIZE)
    with closing(cached.objects(there)) as objects:
        objects.put_raw({}, {key(7): "it could not be decoded"})
    taken = take_in(there, file)
    assert (taken.entries, taken.known) == (14, 2)
    assert stored(there) == {*range(15), 100, 500}
    with closing(cached.objects(there)) as objects:
        assert objects.failures([key(7)]) == {}


@pytest.mark.parametrize(("what", "expected"), [("run", {1, 2, 11}), ("dataset", {1, 2, 11, 12})])
def test_part_of_a_run_or_dataset(source, tmp_path, what, expected):
    """Only what it uses and what is stored of that."""
    run = run_dir(tmp_path, "one")
    use(source, run, [1, 2, 11, 999])
    use(source, None, [12])
    file, there = tmp_path / "cache.tar", tmp_path / "there"
    export(source, file, **({"run": run} if what == "run" else {"dataset": "a"}))
    take_in(there, file)
    assert stored(there) == expected


def test_unknown_run_is_a_finding_and_leaves_no_file(source, tmp_path):
    """DAT111, and neither a file nor a part of one."""
    with pytest.raises(DataError) as error:
        export(source, tmp_path / "out" / "cache.tar", run=tmp_path / "nowhere")
    assert error.value.finding.code == "DAT111"
    assert not (tmp_path / "out").exists()


def test_damaged_entries_are_left_out(source, tmp_path):
    """The export holds whole entries only, and says that some are missing (DAT108)."""
    path = shard_path(source, "latents", "vae-1", 1)
    data = path.read_bytes()
    path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    sent = export(source, tmp_path / "cache.tar")
    assert [f.code for f in sent.findings] == ["DAT108"]
    take_in(tmp_path / "there", tmp_path / "cache.tar")
    assert stored(tmp_path / "there") == {*range(15), 100} - {4}


def test_flipped_byte_on_the_way_costs_one_entry(source, tmp_path):
    """The checksum is compared on arrival; the neighbours are stored."""
    file = tmp_path / "cache.tar"
    export(source, file)
    parts = members(file)
    name = "latents/vae-1/000002.st"
    parts[name] = parts[name][:-1] + bytes([parts[name][-1] ^ 1])
    write_tar(file, parts)
    taken = take_in(tmp_path / "there", file)
    assert (taken.entries, taken.damaged) == (15, 1)
    assert [(f.code, f.level) for f in taken.findings] == [("DAT107", "warn")]
    assert len(stored(tmp_path / "there")) == 15


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9, 1.0])
def test_file_that_was_cut_off(source, tmp_path, share):
    """DAT107, whatever was whole before the cut is stored, and the rest can follow."""
    file = tmp_path / "cache.tar"
    export(source, file)
    data = file.read_bytes()
    cut = tmp_path / "cut.tar"
    cut.write_bytes(data[: int(data.index(b"end.json") * share)])
    with pytest.raises(DataError) as error:
        take_in(tmp_path / "there", cut)
    assert error.value.finding.code == "DAT107"
    take_in(tmp_path / "there", file)
    assert stored(tmp_path / "there") == {*range(15), 100}


def other(rows, change):
    row = list(rows["entries"][0])
    change(row)
    return json.dumps({"entries": [row]}).encode()


HOSTILE = {
    "no tar": lambda p: None,
    "no head": lambda p: p.pop("cache.json"),
    "other format": lambda p: p.update({"cache.json": b'{"format": "x"}'}),
    "head is no object": lambda p: p.update({"cache.json": b"[]"}),
    "end is wrong": lambda p: p.update({"end.json": b'{"entries": 3}'}),
    "outside": lambda p: p.update({"../../x/000001.json": b"{}"}),
    "absolute": lambda p: p.update({"/etc/x/000001.json": b"{}"}),
    "hidden": lambda p: p.update({"latents/.x/000001.json": b"{}"}),
    "shard alone": lambda p: p.pop("latents/vae-1/000001.json"),
    "rows alone": lambda p: p.pop("latents/vae-1/000001.st"),
    "rows are no JSON": lambda p: p.update({"latents/vae-1/000001.json": b"[" * 100_000}),
    "rows are no list": lambda p: p.update({"latents/vae-1/000001.json": b'{"entries": 3}'}),
}
ROWS = {
    "short key": lambda row: row.__setitem__(0, "abcd"),
    "key is a number": lambda row: row.__setitem__(0, 7),
    "before the data": lambda row: row.__setitem__(1, -5),
    "beyond the data": lambda row: row.__setitem__(1, 10**9),
    "offset is text": lambda row: row.__setitem__(1, "0"),
    "layout is larger": lambda row: row.__setitem__(3, '[["latent", "U8", [501]]]'),
    "layout is none": lambda row: row.__setitem__(3, "x"),
    "layout is a number": lambda row: row.__setitem__(3, 3),
    "row is short": lambda row: row.pop(),
    "checksum is text": lambda row: row.__setitem__(4, "x"),
}


@pytest.mark.parametrize("how", [*HOSTILE, *ROWS])
def test_file_that_is_something_else(source, tmp_path, how):
    """Never a traceback, never a file outside the cache: DAT107."""
    file, there = tmp_path / "cache.tar", tmp_path / "home" / "there"
    export(source, file)
    parts = members(file)
    name = "latents/vae-1/000001.json"
    if how in ROWS:
        parts[name] = other(json.loads(parts[name]), ROWS[how])
    else:
        HOSTILE[how](parts)
    end = parts.pop("end.json")
    write_tar(file, parts | {"end.json": end})
    if how == "no tar":
        file.write_bytes(random.Random(1).randbytes(20_000))
    with pytest.raises(DataError) as error:
        take_in(there, file)
    assert error.value.finding.code == "DAT107"
    assert {p.name for p in tmp_path.iterdir()} <= {"source", "home", "cache.tar"}
    if (there / "cache.db").exists():
        stored(there)


def test_member_that_is_no_file(tmp_path):
    """A link or a device in the tar is refused."""
    with tarfile.open(tmp_path / "x.tar", "w") as tar:
        info = tarfile.TarInfo("cache.json")
        info.type, info.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(info)
    with pytest.raises(DataError, match="not a file"):
        take_in(tmp_path / "there", tmp_path / "x.tar")


@pytest.mark.parametrize("mode", ["w:gz", "w:xz"])
def test_compressed_export(source, tmp_path, mode):
    """A file that was compressed on the way is read as well, and its damage noticed."""
    file, small = tmp_path / "cache.tar", tmp_path / "cache.small"
    export(source, file)
    with tarfile.open(small, mode) as tar:
        for name, data in members(file).items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    assert take_in(tmp_path / "there", small).entries == 16
    data = bytearray(small.read_bytes())
    data[len(data) // 2] ^= 255
    small.write_bytes(data)
    try:
        found = take_in(tmp_path / "elsewhere", small).findings
    except DataError as error:
        found = error.findings
    assert [f.code for f in found] == ["DAT107"]


POINTS = [
    f"cache.{name}@{n}"
    for name in ("before_shard", "after_shard", "after_index")
    for n in (1, 3, 5)
]


@pytest.mark.parametrize("point", POINTS)
def test_killed_import_goes_on(source, tmp_path, point):
    """SIGKILL at a named point: what is there is whole, and the next import adds the rest only."""
    file, there = tmp_path / "cache.tar", tmp_path / "there"
    export(source, file)
    assert child.run(lambda: take_in(there, file), f"{point}=kill") == -signal.SIGKILL
    before = len(stored(there))
    taken = take_in(there, file)
    assert (taken.entries, taken.known) == (16 - before, before)
    assert stored(there) == {*range(15), 100}


def test_failed_export_leaves_the_old_file(source, tmp_path, monkeypatch):
    """The file is replaced in one step or not at all."""
    file = tmp_path / "cache.tar"
    export(source, file)
    before = file.read_bytes()
    monkeypatch.setattr(exporting, "pack", lambda entries: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        export(source, file)
    assert file.read_bytes() == before
    assert {p.name for p in tmp_path.iterdir()} == {"source", "cache.tar"}
