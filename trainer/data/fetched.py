"""The folder of fetched samples: tar shards, and a manifest of what they cover.

A shard is written under another name, renamed when it is whole, and then entered in the manifest;
so after any interruption the manifest tells how far the table is done, and what is not entered is
written again under the same name. Nothing is ever there twice.
"""

from __future__ import annotations

import fcntl
import io
import json
import os
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from trainer.errors import DataError
from trainer.faults import point
from trainer.findings import finding

MANIFEST = "manifest.jsonl"
FAILURES = "failures.jsonl"


@dataclass(frozen=True, slots=True)
class Failure:
    """A row whose address gave no sample."""

    row: int
    url: str
    reason: str


@dataclass(slots=True)
class Fetched:
    """What the manifest covers."""

    next_row: int = 0
    shards: int = 0
    samples: int = 0
    bytes: int = 0
    failures: dict[int, Failure] = field(default_factory=dict)

    def enter(self, entry: dict[str, Any]) -> None:
        self.next_row = max(self.next_row, entry["end"])
        self.shards += entry["shard"] is not None
        self.samples += entry["samples"]
        self.bytes += entry["bytes"]
        for row in entry["retried"]:
            self.failures.pop(row, None)
        self.failures |= {row: Failure(row, *rest) for row, *rest in entry["failures"]}


@contextmanager
def only_one(folder: Path) -> Iterator[None]:
    """No two fetches into one folder; the lock goes with the process."""
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        fd = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT, 0o644)
    try:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise _not_ours(folder, "another fetch is writing to it", "wait for it") from error
        yield
    finally:
        os.close(fd)


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """What the disk refuses becomes a finding."""
    try:
        yield
    except OSError as error:
        raise DataError(
            finding(
                "DAT034",
                f"{folder} cannot be written: {error.strerror or error}",
                where=str(folder),
                why="shards that are whole are kept",
                fix="make room, or mend its permissions, and start the same fetch again",
            )
        ) from error


class Shards:
    """Writes shards into `folder`; `table` names what is fetched."""

    def __init__(self, folder: Path, table: dict[str, Any]) -> None:
        self._folder = folder
        self._manifest = folder / MANIFEST
        self.done = Fetched()
        if self._manifest.exists():
            self._read(table)
        else:
            self._append({"version": 1, **table})
        self._sweep()
        self._begin()

    def add(self, row: int, ending: str, data: bytes, caption: str | None) -> None:
        """One sample, named by its row."""
        self._put(f"{row:010d}{ending}", data)
        if caption:
            self._put(f"{row:010d}.txt", caption.encode())
        self._samples += 1
        self.size += len(data)

    def fail(self, failure: Failure) -> None:
        self._failures.append(failure)

    def commit(self, end: int, retried: list[int] | None = None) -> None:
        """Keep what was added since the last commit: rows before `end` are done."""
        name = None
        if self._samples:
            name = self._name(self.done.shards)
            self._tar.close()
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()
            os.replace(self._part, self._folder / name)
            _sync_folder(self._folder)
            point("fetch.after_shard")
        entry = {
            "shard": name,
            "samples": self._samples,
            "bytes": self.size,
            "end": end,
            "retried": retried or [],
            "failures": [[f.row, f.url, f.reason] for f in self._failures],
        }
        self._append(entry)
        point("fetch.after_manifest")
        self.done.enter(entry)
        self._begin()

    def close(self) -> Path | None:
        """Leave out what was not committed; the file that lists failures, if there are any."""
        self._file.close()
        self._part.unlink(missing_ok=True)
        path = self._folder / FAILURES
        if not self.done.failures:
            path.unlink(missing_ok=True)
            return None
        part = path.with_name(f".{FAILURES}.part")
        with open(part, "w", encoding="utf-8") as file:
            for _, failure in sorted(self.done.failures.items()):
                told = {"row": failure.row, "url": failure.url, "reason": failure.reason}
                file.write(json.dumps(told, ensure_ascii=False) + "\n")
        os.replace(part, path)
        return path

    def _put(self, name: str, data: bytes) -> None:
        info = tarfile.TarInfo(name)  # neither times nor owners: the same rows, the same shard
        info.size = len(data)
        self._tar.addfile(info, io.BytesIO(data))

    def _begin(self) -> None:
        self._failures: list[Failure] = []
        self._samples = self.size = 0
        self._part = self._folder / f".{self._name(self.done.shards)}.part"
        self._file = open(self._part, "wb")  # noqa: SIM115 (until the commit)
        self._tar = tarfile.open(fileobj=self._file, mode="w")  # noqa: SIM115

    def _name(self, number: int) -> str:
        return f"{number:06d}.tar"

    def _read(self, table: dict[str, Any]) -> None:
        whole = self._manifest.read_bytes()
        end = whole.rfind(b"\n") + 1
        if end < len(whole):  # the process died within a line
            os.truncate(self._manifest, end)
        head, *entries = (json.loads(line) for line in whole[:end].splitlines()) if end else ({},)
        if head != {"version": 1, **table}:
            raise _not_ours(
                self._folder,
                "it holds what was fetched of another table, or with other columns",
                "fetch into a new folder",
            )
        for entry in entries:
            self.done.enter(entry)

    def _sweep(self) -> None:
        """Remove what a killed process left: parts, and a shard that is not entered."""
        for part in self._folder.glob(".*.part"):
            part.unlink()
        (self._folder / self._name(self.done.shards)).unlink(missing_ok=True)

    def _append(self, entry: dict[str, Any]) -> None:
        with open(self._manifest, "ab") as file:
            file.write(json.dumps(entry, ensure_ascii=False).encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _not_ours(folder: Path, why: str, fix: str) -> DataError:
    return DataError(finding("DAT033", f"{folder}: {why}", where=str(folder), fix=fix))
