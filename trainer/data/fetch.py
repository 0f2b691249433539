"""Fetch what the addresses of a table point to, once, into tar shards.

Addresses are fetched side by side and written in the order of their rows, so what a shard holds
depends on the table alone. A fetch that was stopped or killed goes on behind its last whole shard.
What cannot be had is listed with its reason, and can be tried again later.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from hashlib import blake2b
from pathlib import Path
from typing import NamedTuple

from trainer.data.download import Limits, Unfetched
from trainer.data.fetched import FAILURES, Failure, Shards, only_one, writing
from trainer.data.media_bytes import Sample, sample_at
from trainer.data.sources.base import VARIANT, Kind
from trainer.data.sources.columns import USUAL_URL, CaptionColumns, no_column
from trainer.data.sources.tablefiles import OpenTables
from trainer.findings import Finding, finding

AHEAD = 4  # rows in work or waiting to be written, for each that is fetched at once
WAITING_BYTES = 256 << 20  # fetched but not written, while an earlier row takes its time
ROWS = 20_000  # after which a shard is closed, however small it is
LOOK_S = 0.2  # between two looks at whether to stop


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What the folder holds after a fetch, counted over all fetches into it."""

    rows: int  # of the table that are done
    samples: int
    failed: int
    bytes: int
    shards: int
    finished: bool  # false when it was asked to stop
    failures: Path | None  # file that lists them
    findings: list[Finding]


class Wish(NamedTuple):
    """A row to be fetched."""

    row: int
    url: str
    caption: str | None


Progress = Callable[[int, int], None]  # rows done, rows failed


def fetch(
    table: Path,
    to: Path,
    *,
    url_column: str | None = None,
    captions: CaptionColumns | None = None,
    kind: Kind = "image",
    concurrency: int = 16,
    limits: Limits = Limits(),
    shard_bytes: int = 256 << 20,
    retry_failed: bool = False,
    on_progress: Progress = lambda done, failed: None,
    should_stop: Callable[[], bool] = lambda: False,
) -> Report:
    """Fetch the rows of `table` that are not in the folder `to` yet.

    `captions` become .txt files with a line for each variant. `retry_failed` tries the rows that
    failed before, instead of new ones. DataError when the table or the folder cannot be used.
    """
    with only_one(to), closing(OpenTables(str(table))) as tables:
        columns = _columns(tables, url_column, captions)
        named = {"table": table.name, "digest": _digest(tables), "columns": columns}
        with writing(to):
            shards = Shards(to, named)
        again = frozenset(shards.done.failures) if retry_failed else None
        wishes = _wishes(tables, columns, captions, shards.done.next_row, again)
        work = partial(sample_at, kind=kind, limits=limits)
        with writing(to):
            try:
                keep = _Keep(shards, shard_bytes, again is not None, on_progress)
                finished = _run(wishes, work, concurrency, keep, should_stop)
                keep.commit()
            finally:
                failures = shards.close()
    return _report(shards, finished, failures)


def _columns(
    tables: OpenTables, url_column: str | None, captions: CaptionColumns | None
) -> list[str]:
    """The column of addresses, then those of captions; every file has them."""
    chosen: list[str] = []
    for file in tables.files:
        rows = tables.rows(file)
        usual = [c for c in rows.columns if c.lower() in USUAL_URL]
        if not chosen:
            if url_column is None and not usual:
                raise no_column(None, rows.columns, str(file.path), "no column has addresses")
            texts = captions.all_of(rows.columns) if captions is not None else ()
            if captions is not None and not texts:
                raise no_column(None, rows.columns, str(file.path), "no column has captions")
            chosen = [url_column or usual[0], *texts]
        for column in chosen:
            if not rows.has(column):
                raise no_column(column, rows.columns, str(file.path))
    return chosen


def _digest(tables: OpenTables) -> str:
    """Of all that the table holds: a fetch that goes on must count the same rows."""
    hasher = blake2b(digest_size=16)
    for file in tables.files:
        hasher.update(f"{file.name} {file.stamp[0]} ".encode())
        with open(file.path, "rb") as opened:
            while piece := opened.read(1 << 20):
                hasher.update(piece)
    return hasher.hexdigest()


def _wishes(
    tables: OpenTables,
    columns: list[str],
    captions: CaptionColumns | None,
    start: int,
    again: frozenset[int] | None,
) -> Iterator[Wish]:
    """The rows from `start` on, or those of `again`; counted over all files."""
    every = (values for file in tables.files for values in tables.rows(file).read(columns))
    for row, (url, *texts) in enumerate(every):
        if row in again if again is not None else row >= start:
            caption = captions.text(columns[1:], texts) if captions is not None else None
            yield Wish(row, str(url or ""), caption and _lines(caption))


def _lines(captions: str) -> str:
    """Variants as the lines of a caption file."""
    return "\n".join(" ".join(text.split()) for text in captions.split(VARIANT)) + "\n"


class _Keep:
    """Takes results in the order of rows and closes shards when they are full."""

    def __init__(
        self, shards: Shards, shard_bytes: int, again: bool, on_progress: Progress
    ) -> None:
        self._shards = shards
        self._shard_bytes = shard_bytes
        self._again = again
        self._on_progress = on_progress
        self._rows: list[int] = []  # since the last commit
        self._failed = 0

    def take(self, wish: Wish, result: Sample | Unfetched) -> None:
        if isinstance(result, Unfetched):
            self._shards.fail(Failure(wish.row, wish.url, str(result)))
            self._failed += 1
        else:
            self._shards.add(wish.row, result.ending, result.data, wish.caption)
        self._rows.append(wish.row)
        if self._shards.size >= self._shard_bytes or len(self._rows) >= ROWS:
            self.commit()
        self._on_progress(wish.row + 1, self._failed)

    def commit(self) -> None:
        if self._rows:
            end = self._shards.done.next_row if self._again else self._rows[-1] + 1
            self._shards.commit(end, self._rows if self._again else [])
        self._rows = []


def _run(
    wishes: Iterator[Wish],
    work: Callable[..., Sample],
    concurrency: int,
    keep: _Keep,
    should_stop: Callable[[], bool],
) -> bool:
    """Fetch all; false when it was stopped, with the rows before that kept."""
    halt = threading.Event()
    pool = ThreadPoolExecutor(concurrency, "fetch")
    ahead: deque[tuple[Wish, Future[Sample]]] = deque()
    try:
        while True:
            while len(ahead) < AHEAD * concurrency and _waiting_bytes(ahead) < WAITING_BYTES:
                if (wish := next(wishes, None)) is None:
                    break
                ahead.append((wish, pool.submit(work, wish.url, stopped=halt.wait)))
            if not ahead:
                return True
            wish, future = ahead.popleft()
            while not wait([future], LOOK_S).done:
                if should_stop():
                    return False
            try:
                keep.take(wish, future.result())
            except Unfetched as error:
                keep.take(wish, error)
            if should_stop():
                return False
    finally:
        halt.set()
        pool.shutdown(cancel_futures=True)


def _waiting_bytes(ahead: deque[tuple[Wish, Future[Sample]]]) -> int:
    done = (f for _, f in ahead if f.done() and f.exception() is None)
    return sum(len(future.result().data) for future in done)


def _report(shards: Shards, finished: bool, failures: Path | None) -> Report:
    done, found = shards.done, []
    if failures is not None:
        few = list(done.failures.values())[:3]
        listed = "; ".join(f"row {f.row + 1}: {f.reason}" for f in few)
        found.append(
            finding(
                "DAT032",
                f"{len(done.failures)} of {done.next_row} addresses gave no sample ({listed})",
                level="warn",
                where=str(failures),
                fix=f"look into {FAILURES}; --retry-failed tries again what may have passed",
            )
        )
    return Report(
        rows=done.next_row,
        samples=done.samples,
        failed=len(done.failures),
        bytes=done.bytes,
        shards=done.shards,
        finished=finished,
        failures=failures,
        findings=found,
    )
