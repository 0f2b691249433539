"""The files of a table: one, or all in a folder or of a pattern; opened once, and watched."""

from __future__ import annotations

import errno
import glob
import os
import threading
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

from trainer.data.sources.base import Stamp
from trainer.data.sources.local import stamp_of
from trainer.data.sources.names import is_hidden
from trainer.data.sources.rows import ENDINGS, Rows, open_rows
from trainer.errors import DataError
from trainer.findings import finding

SPACE = 1 << 40  # row numbers of one file, among those of all


@dataclass(frozen=True, slots=True)
class TableFile:
    """One file as it was found; `first` is the number of its first row among those of all."""

    name: str  # "" when it is the only one
    path: Path
    stamp: Stamp
    token: str  # eight digits that change with the file
    first: int


class OpenTables:
    """The files at `path` and their readers."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._lock = threading.RLock()
        self._files: list[TableFile] | None = None
        self._rows: dict[str, tuple[str, Rows]] = {}  # token, reader

    @property
    def files(self) -> list[TableFile]:
        """Sorted by name; DataError when there are none."""
        with self._lock:
            if self._files is None:
                self.look()
            assert self._files is not None
            return self._files

    def look(self) -> None:
        """Find the files anew."""
        root, found = self._found()
        if not found:
            raise no_table(self._path, f"no file there ends with {', '.join(ENDINGS)}")
        names = sorted(found, key=lambda name: f"{name}/")
        files = []
        for number, name in enumerate(names):
            stamp = _stamp(root / name)
            token = blake2b(repr(stamp).encode(), digest_size=4).hexdigest()
            files.append(TableFile(name, root / name, stamp, token, number * SPACE))
        with self._lock:
            self._files = files

    def same(self, name: str, token: str) -> TableFile:
        """The file as it was scanned; OSError when it is another one now."""
        file = next((f for f in self.files if f.name == name), None)
        if file is None or file.token != token or stamp_of(os.stat(file.path)) != file.stamp:
            raise OSError(errno.EIO, f"the table {name or self._path} changed since it was scanned")
        return file

    def rows(self, file: TableFile) -> Rows:
        """The reader of a file."""
        with self._lock:
            known = self._rows.get(file.name)
            if known is None or known[0] != file.token:
                if known is not None:
                    known[1].close()
                self._rows[file.name] = known = (file.token, open_rows(file.path))
            return known[1]

    def close(self) -> None:
        with self._lock:
            for _, rows in self._rows.values():
                rows.close()
            self._rows.clear()

    def _found(self) -> tuple[Path, list[str]]:
        path = Path(self._path)
        if glob.has_magic(self._path):
            root = path
            while glob.has_magic(str(root)):
                root = root.parent
            files = [Path(p) for p in glob.iglob(self._path, recursive=True)]
        elif path.is_dir():
            root = path
            files = [Path(folder) / name for folder, _, names in os.walk(path) for name in names]
        elif path.is_file():
            if path.suffix.lower() not in ENDINGS:
                raise no_table(self._path, f"tables end with {', '.join(ENDINGS)}")
            return path, [""]
        else:
            raise no_table(self._path, "it does not exist")
        names = (f.relative_to(root).as_posix() for f in files if f.suffix.lower() in ENDINGS)
        return root, [name for name in names if not is_hidden(name)]


def _stamp(path: Path) -> Stamp:
    try:
        return stamp_of(os.stat(path))
    except OSError as error:
        raise no_table(str(path), error.strerror or str(error)) from error


def no_table(place: str, why: str) -> DataError:
    return DataError(
        finding(
            "DAT026",
            f"there is no table at {place}: {why}",
            where=place,
            fix="set source.path to a table, a folder of tables, or a pattern",
        )
    )
