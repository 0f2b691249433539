"""The stop ladder: ask for a checkpoint, then TERM, then KILL (server.md §2.2).

Each rung is remembered in the row, so a restarted daemon continues where the old one was. A
trainer that has not reported yet reads no commands and has nothing to save: it gets TERM at once.
"""

from __future__ import annotations

import signal

from stdaemon.exec.base import Executor, Observation, Ticket
from stdaemon.settings import Settings
from stdaemon.store import jobs as store
from stdaemon.store.db import Database
from stdaemon.store.jobs import JobRow
from stdaemon.watch.heartbeat import Beat, beat_of
from trainer.runs.control import send

ASK, TERM, KILL = 1, 2, 3
SAVING_TRUSTED_S = 120.0
KILL_VERIFIED_S = 1.0


def advance_stop(
    db: Database,
    settings: Settings,
    executor: Executor,
    ticket: Ticket,
    row: JobRow,
    seen: Observation,
    *,
    now: float,
) -> None:
    """Take the next rung when its time has come; a process that is gone is booked elsewhere."""
    if seen.trainer is None:
        return
    beat = beat_of(ticket.run, ticket.attempt)
    waited = now - (row.stop_since or 0.0)
    stage = row.stop_stage
    if stage < ASK and beat is not None:
        send(ticket.run.control, "stop", id=f"stop-{row.id}-{row.attempt}", intent=row.stop_intent)
        _climb(db, row, ASK, stop_since=now)
    elif stage < TERM and (beat is None or waited >= _grace(settings, beat, now)):
        executor.signal(ticket, seen.trainer, signal.SIGTERM)
        _climb(db, row, TERM, stop_since=now)
    elif stage == TERM and waited >= settings.term_grace_s:
        executor.signal(ticket, seen.trainer, signal.SIGKILL)
        _climb(db, row, KILL, stop_since=now)
    elif stage == KILL and waited >= KILL_VERIFIED_S:
        executor.collect(ticket)  # also ends a launcher that does not tell


def _climb(db: Database, row: JobRow, stage: int, *, stop_since: float) -> None:
    """Booked after it was done: a crash in between repeats a rung, which is harmless."""
    with db.write() as writer:
        store.set_fields(writer, row.id, stop_stage=stage, stop_since=stop_since)


def _grace(settings: Settings, beat: Beat, now: float) -> float:
    """Longer while the trainer has said within the last minutes that it is saving."""
    saving = beat.saving and now - beat.ts < SAVING_TRUSTED_S
    return settings.saving_grace_s if saving else settings.stop_grace_s
