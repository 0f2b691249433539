"""Book the end of an attempt: the job's next state, the attempt's row, the devices given back.

All of it is one transaction, so that no reader ever sees an ended attempt that holds a device.
"""

from __future__ import annotations

import logging
from typing import Any

from stdaemon.exec.base import Ticket
from stdaemon.jobs.outcomes import Exit, Outcome, decide
from stdaemon.settings import Settings
from stdaemon.store import jobs as store
from stdaemon.store.attempts import set_attempt
from stdaemon.store.db import Database
from stdaemon.store.jobs import JobRow
from stdaemon.store.leases import release_leases
from stdaemon.watch.logs import last_words
from stdaemon.wire.jobs import TERMINAL, State
from trainer.findings import finding

log = logging.getLogger("stdaemon")


def book_end(
    db: Database, settings: Settings, ticket: Ticket, row: JobRow, end: Exit, *, now: float
) -> None:
    outcome = decide(
        end,
        stop_intent=row.stop_intent if row.state == State.STOPPING else None,
        failures=row.failures,
        max_attempts=settings.max_attempts,
    )
    with db.write() as writer:
        if row.state == State.STARTING and outcome.state == State.SUCCEEDED:
            row = store.transition(writer, row, State.RUNNING, cause="reports", actor="daemon")
        fields = _fields(settings, ticket, row, end, outcome, now)
        store.transition(writer, row, outcome.state, cause=outcome.reason, actor="daemon", **fields)
        how = {"exit_code": end.code, "signal": end.signal, "reason": outcome.reason}
        set_attempt(writer, row.id, row.attempt, ended_at=now, **how)
        release_leases(writer, row.id)
    log.info("job %s attempt %s: %s (%s)", row.id, row.attempt, outcome.state, outcome.reason)


def _fields(
    settings: Settings, ticket: Ticket, row: JobRow, end: Exit, outcome: Outcome, now: float
) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "reason": None if outcome.state == State.SUCCEEDED else outcome.reason,
        "devices": [],
        "phase": None,
        "it_s": None,
        "eta_s": None,
        "stop_intent": None,
        "stop_since": None,
        "stop_stage": 0,
    }
    if outcome.state in TERMINAL:
        fields["ended_at"] = now
    if outcome.counts:
        fields["failures"] = row.failures + 1
    if outcome.state == State.QUEUED:
        fields["not_before"] = _not_before(settings, row, outcome, now)
    if outcome.state == State.FAILED and not any(f["level"] == "error" for f in row.findings):
        fields["findings"] = [*row.findings, _unexplained(ticket, row, end)]
    return fields


def _not_before(settings: Settings, row: JobRow, outcome: Outcome, now: float) -> float:
    """Back-off after a failure; an uncounted end only keeps attempts one base apart, so that a
    trainer that gives up at once cannot spin."""
    if outcome.counts:
        return now + min(settings.retry_base_s * 2**row.failures, settings.retry_max_s)
    return max(now, (row.started_at or 0.0) + settings.retry_base_s)


def _unexplained(ticket: Ticket, row: JobRow, end: Exit) -> dict[str, Any]:
    """For a trainer that failed before it could report a finding: what its log says last."""
    how = f"signal {end.signal}" if end.signal else f"exit code {end.code}"
    if end.code is None and end.signal is None:
        how = "no trace"
    problem = finding(
        "RUN107",
        f"the trainer ended with {how} and no finding of its own",
        where=str(ticket.run.log),
        why=last_words(ticket.run.log) or "its log is empty",
        fix=f"see stune logs {row.id}",
    )
    return problem.model_dump()
