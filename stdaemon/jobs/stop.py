"""The stop ladder: ask for a checkpoint, then TERM, then KILL (server.md §2.2).

Each rung is remembered in the row, so a restarted daemon continues where the old one was.
"""

from __future__ import annotations

import signal
import time

from stdaemon.exec.local import LocalExecutor, Observation
from stdaemon.settings import Settings
from stdaemon.store import jobs as store
from stdaemon.store.db import Database
from stdaemon.store.jobs import JobRow
from trainer.runs.control import send
from trainer.runs.files import read_json
from trainer.runs.layout import RunDir

ASK, TERM, KILL = 1, 2, 3


def advance_stop(
    db: Database,
    settings: Settings,
    executor: LocalExecutor,
    run: RunDir,
    row: JobRow,
    seen: Observation,
) -> None:
    """Take the next rung when its time has come; a process that is gone is booked elsewhere."""
    if seen.trainer is None:
        return
    waited = time.time() - (row.stop_since or 0.0)
    grace = settings.saving_grace_s if _saving(run, row) else settings.stop_grace_s
    stage = row.stop_stage
    if stage < ASK:
        send(run.control, "stop", id=f"stop-{row.id}-{row.attempt}", intent=row.stop_intent)
        _climb(db, row, ASK)
    elif stage == ASK and waited >= grace:
        executor.terminate(seen.trainer, signal.SIGTERM)
        _climb(db, row, TERM, stop_since=time.time())
    elif stage == TERM and waited >= settings.term_grace_s:
        executor.terminate(seen.trainer, signal.SIGKILL)
        _climb(db, row, KILL, stop_since=time.time())
    elif stage == KILL and waited >= 1.0:
        executor.terminate(seen.trainer, signal.SIGKILL)


def _climb(db: Database, row: JobRow, stage: int, **fields: float) -> None:
    with db.write() as writer:
        store.set_fields(writer, row.id, stop_stage=stage, **fields)


def _saving(run: RunDir, row: JobRow) -> bool:
    """Whether the trainer said within the last seconds that it is writing a checkpoint."""
    beat = read_json(run.heartbeat) or {}
    fresh = time.time() - beat.get("ts", 0.0) < 120.0
    return bool(beat.get("saving")) and beat.get("attempt") == row.attempt and fresh
