"""Listing of a dataset folder: pictures and their caption files, sorted, without opening any.

Paths come in the order of their text, whole folders in place, so the index can be compared with
the folder in one pass that holds neither of them in memory.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from trainer.data.pixels import PICTURES
from trainer.errors import DataError
from trainer.findings import finding

Stamp = tuple[int, int, int]  # size, mtime_ns, inode: equal as long as a file is unchanged


@dataclass(frozen=True, slots=True)
class Found:
    """A picture file; `relpath` uses "/" and is printable whatever the name's encoding was."""

    relpath: str
    path: str
    stamp: Stamp | None  # None: a link to nowhere
    caption: Stamp | None  # of the .txt file beside it


def list_pictures(root: Path) -> Iterator[Found]:
    """Every picture below `root`; hidden entries are left out, linked folders are entered once."""
    if not root.is_dir():
        raise _no_folder(root, "is not a folder" if root.exists() else "does not exist")
    yield from _walk(str(root), "", {_identity(root)})


def _walk(folder: str, prefix: str, entered: set[tuple[int, int]]) -> Iterator[Found]:
    try:
        with os.scandir(folder) as entries:
            listed = [e for e in entries if not e.name.startswith(".")]
    except OSError as error:
        raise _no_folder(Path(folder), f"cannot be listed: {error.strerror}") from error
    texts = {e.name: e for e in listed if e.name.endswith(".txt")}
    ordered = []
    for entry in listed:
        is_folder = _is_folder(entry)
        if is_folder or os.path.splitext(entry.name)[1].lower() in PICTURES:
            # "/" makes the order of names that of whole paths: "a.png" comes before "a/b.png"
            shown = entry.name.encode("utf-8", "backslashreplace").decode()
            ordered.append((shown + "/" if is_folder else shown, entry, is_folder))
    for shown, entry, is_folder in sorted(ordered, key=lambda item: item[0]):
        if not is_folder:
            text = texts.get(os.path.splitext(entry.name)[0] + ".txt")
            yield Found(prefix + shown, entry.path, _stamp(entry), text and _stamp(text))
        elif (identity := _identity(Path(entry.path))) not in entered:
            entered.add(identity)
            yield from _walk(entry.path, prefix + shown, entered)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a loop of links
        return False


def _stamp(entry: os.DirEntry[str]) -> Stamp | None:
    try:
        info = entry.stat()
    except OSError:
        return None
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
