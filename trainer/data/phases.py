"""The phases of preparing data, each resumable: scan a folder, encode texts, encode pictures."""

from __future__ import annotations

import errno
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from trainer.cache.build import Progress, no_room
from trainer.cache.latents import NOT_FINITE, build_latents, item_key
from trainer.cache.store import Store
from trainer.cache.text import build_text
from trainer.config.schema.root import JobConfig
from trainer.data.dataset import Dataset
from trainer.data.datasets import index_of
from trainer.data.funnel import Funnel, judge
from trainer.data.table import Table, make_table
from trainer.errors import Preempted, TrainerError
from trainer.findings import Finding, finding
from trainer.models.base import Family

PROGRESS_S = 0.5  # between two progress events
UNUSABLE = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST)


class Emit(Protocol):
    def __call__(self, kind: str, **fields: Any) -> Any: ...


@dataclass(slots=True)
class Task:
    """What the phases share."""

    config: JobConfig
    family: Family
    root: Path
    emit: Emit
    should_stop: Callable[[], bool]
    funnels: dict[str, Funnel] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)

    def report(self, *found: Finding) -> None:
        self.findings.extend(found)
        for problem in found:
            self.emit("finding", finding=problem.model_dump())

    def judge(self, funnel: Funnel) -> None:
        data = self.config.data
        judge(funnel, on_corrupt=data.on_corrupt, missing_caption=data.missing_caption)

    def progress(self, store: str) -> Progress:
        """Reports at most twice a second, and the end always."""
        last = 0.0

        def report(done: int, total: int) -> None:
            nonlocal last
            if done == total or time.monotonic() - last >= PROGRESS_S:
                last = time.monotonic()
                self.emit("cache.progress", store=store, done=done, total=total)

        return report

    def check_stop(self) -> None:
        if self.should_stop():
            raise stopped()


def stopped() -> Preempted:
    return Preempted(
        finding(
            "RUN009",
            "stopped on request while preparing the data",
            fix="start the same run again; what is prepared is kept",
            level="info",
        )
    )


@contextmanager
def phase(emit: Emit, name: str) -> Iterator[None]:
    emit("phase", phase=name, state="begin")
    yield
    emit("phase", phase=name, state="end")


@contextmanager
def cache_guard(root: Path) -> Iterator[None]:
    """What the disk or the cache's databases refuse becomes a finding."""
    try:
        root.mkdir(parents=True, exist_ok=True)
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise no_room(root, "the disk is full") from error
        if error.errno in UNUSABLE:
            raise _unusable(root, str(error)) from error
        raise
    except sqlite3.DatabaseError as error:
        if error.sqlite_errorcode == sqlite3.SQLITE_FULL:
            raise no_room(root, "the disk is full") from error
        raise _unusable(root, f"a database in it fails: {error}") from error


def _unusable(root: Path, why: str) -> TrainerError:
    return TrainerError(
        finding(
            "DAT103",
            f"the cache below {root} cannot be used: {why}",
            where=str(root),
            why="encoded samples and the index of the pictures are kept there",
            fix="set cache.root to a folder that can be written; a damaged database (*.db) may be "
            "removed, what it listed is then made again",
        )
    )


def scan(task: Task, dataset: Dataset) -> Table:
    """Index one folder and pass its files through the funnel."""
    progress = task.progress(f"index:{dataset.id}")

    def tick(done: int) -> None:
        progress(done, max(done, 1) + 1)  # the end is not known before it is there
        task.check_stop()

    index = index_of(task.root, dataset.source, dataset.kind)
    index.scan(tick)
    index.hash_contents(dataset.min_size, tick)
    funnel = task.funnels[dataset.id] = Funnel(dataset.id, dataset.source.name)
    table = make_table(dataset, index.rows(), funnel)
    progress(funnel.found, funnel.found)
    task.judge(funnel)
    task.report(*funnel.findings("unreadable", "small", "uncaptioned", "bad caption"))
    return table


def validation_texts(config: JobConfig) -> list[str]:
    """Texts that validation needs embeddings of."""
    if not config.validation.enabled or not config.validation.prompts:
        return []
    return sorted({*config.validation.prompts, config.validation.negative})


def cache_text(task: Task, tables: list[Table]) -> Store:
    captions = {c for table in tables for row in range(len(table)) for c in table.captions(row)}
    captions.update(validation_texts(task.config))
    if any(table.dataset.caption.dropout for table in tables):
        captions.add("")
    store = Store(task.root, "text", task.family.identity("text"))
    whole = build_text(
        captions,
        task.family,
        store,
        batch_size=task.config.cache.batch_size,
        on_progress=task.progress("text"),
        should_stop=task.should_stop,
    )
    if not whole:
        raise stopped()
    return store


def cache_latents(task: Task, tables: list[Table]) -> tuple[Store, list[Table]]:
    """Encode; the tables come back without the samples that could not be."""
    store = Store(task.root, "latents", task.family.identity("vae"))
    keys = [[item_key(item, store.encoder) for item in table.items()] for table in tables]
    missing = set(store.missing([key for own in keys for key in own]))
    whole = build_latents(
        {
            key: table.item(row)
            for table, own in zip(tables, keys, strict=True)
            for row, key in enumerate(own)
            if key in missing
        },
        task.family,
        store,
        batch_size=task.config.cache.batch_size,
        on_progress=task.progress("latents"),
        should_stop=task.should_stop,
    )
    if not whole:
        raise stopped()
    return store, [_encoded(task, store, t, k) for t, k in zip(tables, keys, strict=True)]


def _encoded(task: Task, store: Store, table: Table, keys: list[bytes]) -> Table:
    """The table without the rows whose key is known to fail."""
    failures = store.failures(keys)
    if not failures:
        return table
    funnel = task.funnels[table.dataset.id]
    for row, key in enumerate(keys):
        if (reason := failures.get(key)) is not None:
            stage = "not finite" if reason == NOT_FINITE else "undecodable"
            funnel.lose(stage, table.relpaths[row], reason)
    rest = table.take(np.array([r for r, k in enumerate(keys) if k not in failures], dtype=int))
    funnel.used = len(rest)
    task.judge(funnel)
    task.report(*funnel.findings("undecodable", "not finite"))
    return rest
