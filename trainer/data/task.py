"""What the phases of preparing data share: the job, its reports, its requests to stop."""

from __future__ import annotations

import errno
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from trainer.cache.room import no_room
from trainer.config.schema.root import JobConfig
from trainer.data.funnel import Funnel, judge
from trainer.errors import Preempted, TrainerError
from trainer.findings import Finding, finding

if TYPE_CHECKING:
    from trainer.cache.build import Progress
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
    run: Path | None = None  # whose entries are not cleared away
    few: int | None = None  # take so many samples of each bucket, and read no others
    funnels: dict[str, Funnel] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)

    def report(self, *found: Finding) -> None:
        self.findings.extend(found)
        for problem in found:
            self.emit("finding", finding=problem.model_dump())

    def judge(self, funnel: Funnel) -> None:
        data = self.config.data
        judge(
            funnel,
            on_corrupt=data.on_corrupt,
            missing_caption=data.missing_caption,
            missing_partner=data.missing_partner,
        )

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
