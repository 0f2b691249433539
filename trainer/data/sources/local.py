"""A folder: samples and their caption files, sorted, without opening any.

Paths come in the order of their text, whole folders in place, so the index can be compared with
the folder in one pass that holds neither of them in memory.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from trainer.data.captions import CaptionFile
from trainer.data.sources.base import Found, Kind, Stamp
from trainer.data.sources.names import is_sample, shown
from trainer.errors import DataError
from trainer.findings import finding


class Folder:
    """Every sample of one kind below `root`; hidden entries are left out, linked folders are
    entered once. `suffix` picks the partners that lie beside samples (`cat.mask.png`)."""

    hashed = True

    def __init__(
        self, root: Path, kind: Kind, caption: CaptionFile | None, suffix: str | None = None
    ) -> None:
        self.root = root
        self._kind: Kind = kind
        self._caption = caption
        self._suffix = suffix

    @property
    def name(self) -> str:
        return str(self.root)

    @property
    def identity(self) -> str:
        place = os.fsencode(self.root.resolve()).decode("utf-8", "surrogateescape")
        return f"{place}|{self._kind}|{self._caption and self._caption.tag}|{self._suffix}"

    def listing(self) -> Iterator[Found]:
        if not self.root.is_dir():
            what = "is not a folder" if self.root.exists() else "does not exist"
            raise _no_folder(self.root, what)
        yield from self._walk(str(self.root), "", {_identity(self.root)})

    def open(self, relpath: str, locator: str) -> BinaryIO:
        return open(locator or f"{self.root}/{relpath}", "rb")

    def caption(self, found: Found) -> tuple[str | None, str | None]:
        assert self._caption is not None, "a caption is listed only where it is read"
        place = found.locator or f"{self.root}/{found.relpath}"
        path = Path(os.path.splitext(place)[0] + self._caption.suffix)
        return self._caption.parse(path.read_bytes(), path.name)

    def close(self) -> None:
        pass

    def _walk(self, folder: str, prefix: str, entered: set[tuple[int, int]]) -> Iterator[Found]:
        try:
            with os.scandir(folder) as entries:
                listed = [e for e in entries if not e.name.startswith(".")]
        except OSError as error:
            raise _no_folder(Path(folder), f"cannot be listed: {error.strerror}") from error
        ending = self._caption.suffix if self._caption else None
        texts = {e.name: e for e in listed if ending and e.name.endswith(ending)}
        ordered = []
        for entry in listed:
            is_folder = _is_folder(entry)
            if is_folder or is_sample(entry.name, self._kind, self._suffix):
                # "/" makes the order of names that of whole paths: "a.png" before "a/b.png"
                name = shown(entry.name)
                ordered.append((name + "/" if is_folder else name, entry, is_folder))
        for name, entry, is_folder in sorted(ordered, key=lambda item: item[0]):
            if not is_folder:
                text = texts.get(os.path.splitext(entry.name)[0] + ending) if ending else None
                caption = text and _stamp(text)
                relpath = prefix + name
                locator = "" if entry.path.endswith(relpath) else entry.path  # not as it is shown
                yield Found(relpath, locator, _stamp(entry), caption)
            elif (identity := _identity(Path(entry.path))) not in entered:
                entered.add(identity)
                yield from self._walk(entry.path, prefix + name, entered)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a loop of links
        return False


def _stamp(entry: os.DirEntry[str]) -> Stamp | None:
    try:
        return stamp_of(entry.stat())
    except OSError:
        return None


def stamp_of(info: os.stat_result) -> Stamp:
    return (info.st_size, info.st_mtime_ns, info.st_ino)


def _identity(folder: Path) -> tuple[int, int]:
    info = folder.stat()
    return (info.st_dev, info.st_ino)


def _no_folder(path: Path, what: str) -> DataError:
    return DataError(
        finding(
            "DAT001",
            f"{path} {what}",
            where=str(path),
            fix="check the path of the dataset and its permissions",
        )
    )
