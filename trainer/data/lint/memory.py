"""Measures of pictures, remembered by content hash and filled in by threads.

One SQLite file beside the index. Results are committed as they come, so an interrupted lint
continues where it was, and a second one reads instead of decoding. A renamed picture is known.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from trainer.cache.database import connect, transaction
from trainer.data.lint.film import measure_film
from trainer.data.lint.measure import VERSION, Measures, measure, parse
from trainer.data.sources.base import Kind, Source

SCHEMA = "CREATE TABLE IF NOT EXISTS measure (content BLOB PRIMARY KEY, version INTEGER, data TEXT)"
CHUNK = 64  # pictures between two commits
ASKED = 500  # keys in one query
THREADS = max(2, min(16, os.cpu_count() or 2))

Tick = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Picture:
    """Where the bytes with a content hash lie: a picture or a film."""

    content: bytes
    kind: Kind
    source: Source
    relpath: str
    locator: str

    @property
    def key(self) -> bytes:
        """An animation may be looked at as a picture and as a film."""
        return key_of(self.content, self.kind)


def key_of(content: bytes, kind: Kind) -> bytes:
    return content if kind == "image" else content + kind.encode()


def measure_all(
    database: Path, pictures: Mapping[bytes, Picture], tick: Tick
) -> dict[bytes, Measures]:
    """Measures by key; a picture that its place refuses now is missing. `tick` may raise to stop,
    between any two pictures."""
    database.parent.mkdir(parents=True, exist_ok=True)
    with closing(connect(database, SCHEMA)) as db:
        known = {c: parse(text) for c, text in _stored(db, list(pictures))}
        missing = [p for content, p in pictures.items() if content not in known]
        tick(len(known), len(pictures))
        fresh: list[tuple[bytes, Measures]] = []
        try:
            with closing(_measured(missing)) as done:
                for picture, measures in done:
                    if measures is not None:
                        fresh.append((picture.key, measures))
                        known[picture.key] = measures
                    if len(fresh) >= CHUNK:
                        _store(db, fresh)
                        fresh = []
                    tick(len(known), len(pictures))
        finally:  # also when it is stopped
            _store(db, fresh)
    return known


def _store(db: sqlite3.Connection, fresh: Sequence[tuple[bytes, Measures]]) -> None:
    with transaction(db):
        db.executemany(
            "INSERT OR REPLACE INTO measure VALUES (?, ?, ?)",
            [(key, VERSION, measures.dump()) for key, measures in fresh],
        )


def _stored(db: sqlite3.Connection, contents: Sequence[bytes]) -> Iterator[tuple[bytes, str]]:
    for start in range(0, len(contents), ASKED):
        part = contents[start : start + ASKED]
        marks = ",".join("?" * len(part))
        yield from db.execute(
            f"SELECT content, data FROM measure WHERE version = {VERSION} AND content IN ({marks})",
            part,
        )


def _measured(pictures: Iterable[Picture]) -> Generator[tuple[Picture, Measures | None]]:
    """In order, with a bounded number of pictures in work."""
    waiting: list[tuple[Picture, Future[Measures | None]]] = []
    rest = iter(pictures)
    with ThreadPoolExecutor(THREADS, "measure") as pool:
        try:
            while True:
                for picture in islice(rest, 4 * THREADS - len(waiting)):
                    waiting.append((picture, pool.submit(_measure, picture)))
                if not waiting:
                    return
                picture, result = waiting.pop(0)
                yield picture, result.result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _measure(picture: Picture) -> Measures | None:
    try:
        with picture.source.open(picture.relpath, picture.locator) as file:
            return measure(file) if picture.kind == "image" else measure_film(file)
    except OSError:
        return None
