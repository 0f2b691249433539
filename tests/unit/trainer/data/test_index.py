"""The index follows its folder: only what changed is looked at, and nothing is missed."""

from __future__ import annotations

import os
import shutil
import signal
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from tests.support import child
from tests.support.pictures import make_folder
from trainer.data import index as module
from trainer.data.captions import CaptionFile, parse_text
from trainer.data.index import Index
from trainer.data.sources.local import Folder
from trainer.errors import DataError


class Looked:
    """Counts which files were opened for their header, their caption and their content."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.headers: list[str] = []
        self.captions: list[str] = []
        self.contents: list[str] = []
        for name, log, of in (
            ("_inspect", self.headers, lambda found: found.relpath),
            ("_inspect_text", self.captions, lambda found: found.relpath),
            ("_hash", self.contents, lambda place: place[0]),
        ):
            monkeypatch.setattr(Index, name, self._logged(getattr(Index, name), log, of))

    @staticmethod
    def _logged(function, log, of):
        def logged(self, argument):
            log.append(Path(of(argument)).name)
            return function(self, argument)

        return logged

    def clear(self) -> None:
        for log in (self.headers, self.captions, self.contents):
            log.clear()


def source(root: Path) -> Folder:
    return Folder(root, "image", CaptionFile(".txt", ".txt", parse_text))


@pytest.fixture
def looked(monkeypatch) -> Looked:
    return Looked(monkeypatch)


def scanned(root: Path, database: Path) -> Index:
    index = Index(source(root), "image", database)
    index.scan(lambda done: None)
    index.hash_contents(1, lambda done: None)
    return index


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return make_folder(tmp_path / "set", 5)


@pytest.fixture
def database(tmp_path: Path) -> Path:
    return tmp_path / "index" / "set.db"


def test_second_scan_opens_nothing(folder, database, looked):
    """Without a change no header, caption or content is read again."""
    scanned(folder, database)
    assert len(looked.headers) == len(looked.captions) == len(looked.contents) == 5
    looked.clear()
    assert len(list(scanned(folder, database).rows())) == 5
    assert looked.headers == looked.captions == looked.contents == []


def test_only_the_changed_picture_is_read_again(folder, database, looked):
    """A new picture under an old name is noticed, its content hashed anew."""
    before = {r.relpath: r.content for r in scanned(folder, database).rows()}
    looked.clear()
    Image.new("RGB", (70, 70)).save(folder / "p001.png")
    after = {r.relpath: r.content for r in scanned(folder, database).rows()}
    assert looked.headers == looked.contents == ["p001.png"]
    assert {k for k in before if before[k] != after[k]} == {"p001.png"}


def test_replacement_with_the_same_size_and_time_is_noticed(folder, database):
    """Even a file that imitates size and time of the old one has another inode."""
    path = folder / "p001.png"
    before = {r.relpath: r.content for r in scanned(folder, database).rows()}
    info = path.stat()
    other = bytearray(path.read_bytes())
    other[-20] ^= 1
    (folder / "new").write_bytes(other)
    os.utime(folder / "new", ns=(info.st_atime_ns, info.st_mtime_ns))
    os.replace(folder / "new", path)
    after = {r.relpath: r.content for r in scanned(folder, database).rows()}
    assert before["p001.png"] != after["p001.png"]


def test_edited_caption_does_not_touch_the_picture(folder, database, looked):
    """A caption change costs one small read, no header and no hash."""
    scanned(folder, database)
    looked.clear()
    (folder / "p002.txt").write_text("a new caption")
    rows = {r.relpath: r.text for r in scanned(folder, database).rows()}
    assert rows["p002.png"] == "a new caption"
    assert (looked.headers, looked.captions, looked.contents) == ([], ["p002.png"], [])


def test_removed_and_added_files_are_followed(folder, database):
    """The index lists what the folder holds now, and captions come and go with their files."""
    scanned(folder, database)
    (folder / "p000.png").unlink()
    (folder / "p003.txt").unlink()
    (folder / "sub").mkdir()
    shutil.copy(folder / "p001.png", folder / "sub" / "new.jpg")
    rows = {r.relpath: r for r in scanned(folder, database).rows()}
    assert sorted(rows) == ["p001.png", "p002.png", "p003.png", "p004.png", "sub/new.jpg"]
    assert rows["p003.png"].text is None
    assert rows["sub/new.jpg"].content == rows["p001.png"].content


def test_broken_file_stays_visible_until_it_is_mended(folder, database, looked):
    """The reason is kept without reading again; a repaired file is taken up."""
    good = (folder / "p001.png").read_bytes()
    (folder / "p001.png").write_bytes(b"")
    scanned(folder, database)
    looked.clear()
    rows = {r.relpath: r for r in scanned(folder, database).rows()}
    assert rows["p001.png"].reason == "the file is empty"
    assert looked.headers == []
    (folder / "p001.png").write_bytes(good)
    rows = {r.relpath: r for r in scanned(folder, database).rows()}
    assert rows["p001.png"].reason is None
    assert rows["p001.png"].content


def test_file_that_changes_while_it_is_scanned_is_read_again(folder, database, monkeypatch):
    """Its row carries the stamp from before the change, so the next scan notices."""
    inspect = Index._inspect

    def changing(self, found):
        if found.relpath == "p001.png":
            Image.new("RGB", (80, 90)).save(folder / "p001.png")
        return inspect(self, found)

    with monkeypatch.context() as patch:
        patch.setattr(Index, "_inspect", changing)
        scanned(folder, database)
    Image.new("RGB", (81, 91)).save(folder / "p001.png")
    rows = {r.relpath: r.facts for r in scanned(folder, database).rows()}
    assert rows["p001.png"][:2] == (81, 91)


@pytest.mark.parametrize("name", ["ß" * 120, "x" * 250, "日本 e\u0301 'q' \"d\" %s", "a\nb"])
def test_names_of_any_length_and_script(folder, database, name):
    """Unicode, quotes, line ends and the longest names that a file system takes."""
    shutil.copy(folder / "p000.png", folder / f"{name}.png")
    (folder / f"{name}.txt").write_text("a caption")
    rows = {r.relpath: r for r in scanned(folder, database).rows()}
    assert rows[f"{name}.png"].text == "a caption"
    assert rows[f"{name}.png"].content


def test_link_to_nowhere_is_looked_at_every_time(folder, database):
    """A broken link is a row with a reason, and heals when its target appears."""
    (folder / "link.png").symlink_to(folder.parent / "later.png")
    rows = {r.relpath: r for r in scanned(folder, database).rows()}
    assert rows["link.png"].reason
    shutil.copy(folder / "p000.png", folder.parent / "later.png")
    rows = {r.relpath: r for r in scanned(folder, database).rows()}
    assert rows["link.png"].reason is None


def test_name_that_is_not_utf8_is_reported(folder, database):
    """A name that cannot be written down is a visible row, not a crash."""
    shutil.copy(folder / "p000.png", os.fsencode(folder) + b"/\xff.png")
    reasons = {r.relpath: r.reason for r in scanned(folder, database).rows()}
    assert reasons["\\udcff.png"] == "its name is not UTF-8 text"
    assert len(reasons) == 6


def test_unreadable_caption_files_say_why(folder, database):
    """Empty and non-UTF-8 caption files have a reason; a byte order mark is no text."""
    (folder / "p000.txt").write_text(" \n\n")
    (folder / "p001.txt").write_bytes(b"caf\xe9")
    (folder / "p002.txt").write_bytes(b"\xef\xbb\xbf one \r\n\r\n two\n")
    rows = {r.relpath: r for r in scanned(folder, database).rows()}
    assert rows["p000.png"].text_reason == "p000.txt is empty"
    assert "not UTF-8" in (rows["p001.png"].text_reason or "")
    assert rows["p002.png"].text == "one\ntwo"


def test_scan_killed_in_the_middle_goes_on(tmp_path, database, monkeypatch, looked):
    """SIGKILL after the second commit: what was committed is not read again."""
    monkeypatch.setattr(module, "CHUNK", 4)
    folder = make_folder(tmp_path / "set", 14)
    code = child.run(lambda: scanned(folder, database), "index.after_commit@2=kill")
    assert code == -signal.SIGKILL
    looked.clear()
    assert len(list(scanned(folder, database).rows())) == 14
    assert len(looked.headers) == 6


def test_two_scans_at_once_do_not_undo_each_other(folder, database, monkeypatch):
    """Hashes that another process finished during our scan survive our commit."""
    inspect, once = Index._inspect, []

    def slow(self, found):
        if not once:
            once.append(found)
            scanned(folder, database)
        return inspect(self, found)

    monkeypatch.setattr(Index, "_inspect", slow)
    index = Index(source(folder), "image", database)
    index.scan(lambda done: None)
    assert all(r.content for r in index.rows())
    assert len(list(index.rows())) == 5


def test_small_pictures_are_not_hashed(folder, database):
    """Pictures that will not be used are not read."""
    index = Index(source(folder), "image", database)
    index.scan(lambda done: None)
    index.hash_contents(65, lambda done: None)
    assert {r.content for r in index.rows()} == {None}


def test_missing_folder_is_a_data_error(tmp_path, database):
    """No folder: DAT001 with the path."""
    with pytest.raises(DataError) as error:
        scanned(tmp_path / "nowhere", database)
    assert error.value.finding.code == "DAT001"
    assert str(tmp_path / "nowhere") in error.value.finding.message


def test_linked_folders_are_entered_once(folder):
    """A link back to the folder, or two links to one, do not double or loop."""
    (folder / "again").symlink_to(folder)
    outside = make_folder(folder.parent / "outside", 2)
    (folder / "one").symlink_to(outside)
    (folder / "two").symlink_to(outside)
    (folder / ".hidden").mkdir()
    shutil.copy(folder / "p000.png", folder / ".hidden" / "x.png")
    shutil.copy(folder / "p000.png", folder / "._p000.png")
    found = [f.relpath for f in source(folder).listing()]
    assert found == [f"one/p{n:03d}.png" for n in range(2)] + [f"p{n:03d}.png" for n in range(5)]


names = st.text("aA-._/é0", min_size=1, max_size=8)


@settings(max_examples=60, deadline=None)
@given(st.sets(names, max_size=12))
def test_listing_is_sorted_as_the_database_sorts(tmp_path_factory, paths):
    """The one-pass merge relies on both orders being equal, for any names of files and folders."""
    root = tmp_path_factory.mktemp("order")
    for path in paths:
        parts = [part for part in path.split("/") if part and not part.startswith(".")]
        if parts:
            target = root.joinpath(*(f"{p}.d" for p in parts[:-1]), f"{parts[-1]}.png")
            target.parent.mkdir(parents=True, exist_ok=True)
            target.touch()
    found = [f.relpath for f in source(root).listing()]
    assert found == sorted(found, key=str.encode)
    assert len(found) == sum(1 for p in root.rglob("*.png") if p.is_file())


def test_stop_is_noticed_while_nothing_is_new(tmp_path, database, monkeypatch):
    """A long listing without a change asks again and again whether to go on."""
    monkeypatch.setattr(module, "CHUNK", 4)
    folder = make_folder(tmp_path / "set", 14)
    scanned(folder, database)
    ticks: list[int] = []
    Index(source(folder), "image", database).scan(ticks.append)
    assert ticks == [4, 8, 12, 14]
