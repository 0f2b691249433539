"""The daemon's loop: look at every live attempt, carry stops forward, start what can start.

One thread owns it. It acts only on facts in the store and in run directories, so starting it
again after a crash is the same as its next turn: adoption needs no code of its own. Trouble with
one job never holds up another.
"""

from __future__ import annotations

import logging
import secrets
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path

from stdaemon.exec.base import Executor, Ticket
from stdaemon.jobs.finish import book_end
from stdaemon.jobs.outcomes import Exit
from stdaemon.jobs.stop import advance_stop
from stdaemon.sched.plan import Candidate, Decision, Snapshot, plan
from stdaemon.settings import Settings
from stdaemon.store import jobs as store
from stdaemon.store.attempts import add_attempt, set_attempt
from stdaemon.store.db import Database, ReadOnly
from stdaemon.store.events import add_event
from stdaemon.store.jobs import Conflict, JobRow
from stdaemon.store.leases import leased, take_lease
from stdaemon.watch.events import new_fields
from stdaemon.watch.heartbeat import beat_of
from stdaemon.wire.jobs import State
from trainer.runs.layout import RunDir

log = logging.getLogger("stdaemon")
AFTER_TROUBLE_S = 1.0


class Engine:
    """Call `wake()` when something changed; it turns at least every tick."""

    def __init__(
        self,
        db: Database,
        settings: Settings,
        executor: Executor,
        devices: Callable[[], dict[str, str | None]],
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.db = db
        self.settings = settings
        self.executor = executor
        self.devices = devices
        self.clock = clock
        self.host = socket.gethostname()
        self.on_active: Callable[[list[JobRow]], None] = lambda rows: None
        self._launched: dict[str, float] = {}
        self._silent: set[str] = set()
        self._troubles: dict[str, str] = {}
        self._wake = threading.Event()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="engine", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def wake(self) -> None:
        self._wake.set()

    def close(self) -> None:
        self._stop.set()
        self._wake.set()
        self._thread.join(timeout=10)

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self.turn()
                self._troubles.pop("engine", None)
            except Exception as error:
                self._tell_trouble("engine", error)
                self._stop.wait(AFTER_TROUBLE_S)
            self._wake.wait(self.settings.tick_s)
            self._wake.clear()

    def turn(self) -> None:
        """One look at everything; nothing is begun while the store cannot be written."""
        self.executor.reap()
        if self.db.read_only:
            self.db.probe()
        with self.db.read() as reader:
            active = store.active(reader)
        self.on_active(active)
        for row in active:
            try:
                self._look(row)
                self._troubles.pop(row.id, None)
            except Conflict:
                continue  # a user was faster: the next turn sees the new state
            except ReadOnly:
                raise
            except Exception as error:
                self._tell_trouble(row.id, error)
        self._schedule()

    def _tell_trouble(self, who: str, error: Exception) -> None:
        """Once for each new trouble: a lasting one does not fill the log."""
        text = f"{type(error).__name__}: {error}"
        if self._troubles.get(who) != text:
            self._troubles[who] = text
            log.error("%s: %s", who, text, exc_info=not isinstance(error, ReadOnly))

    # --- live attempts ---------------------------------------------------------------------

    def _look(self, row: JobRow) -> None:
        ticket = Ticket(RunDir(Path(row.run_dir)), row.attempt, row.lease, tuple(row.devices))
        seen = self.executor.observe(ticket)
        row = self._apply_events(ticket.run, row)
        end = self._await_launch(ticket, row) if seen.pending else seen.end
        if end is not None:
            self._finish(ticket, row, end)
        elif row.state == State.STARTING and beat_of(ticket.run, ticket.attempt):
            with self.db.write() as writer:
                store.transition(writer, row, State.RUNNING, cause="reports", actor="daemon")
                pid = seen.trainer["pid"] if seen.trainer else None
                set_attempt(writer, row.id, row.attempt, pid=pid)
        elif row.state == State.STOPPING:
            now = self.clock()
            advance_stop(self.db, self.settings, self.executor, ticket, row, seen, now=now)
        elif row.state == State.RUNNING:
            self._listen(ticket, row)

    def _finish(self, ticket: Ticket, row: JobRow, end: Exit) -> None:
        """Book the end once nothing of the attempt is left on the devices."""
        if not self.executor.collect(ticket):
            return
        row = self._apply_events(ticket.run, row)
        book_end(self.db, self.settings, ticket, row, end, now=self.clock())
        self._launched.pop(ticket.lease, None)
        self._silent.discard(ticket.lease)
        self.wake()

    def _apply_events(self, run: RunDir, row: JobRow) -> JobRow:
        fields = new_fields(run, row)
        if not fields:
            return row
        with self.db.write() as writer:
            store.set_fields(writer, row.id, **fields)
            return store.by_id(writer, row.id)

    def _await_launch(self, ticket: Ticket, row: JobRow) -> Exit | None:
        """Deliver the start again if an earlier daemon may have failed to; give up in time, and
        at once on a trainer that did report and whose records are gone."""
        since = self._launched.get(ticket.lease)
        overdue = since is not None and self.clock() - since > self.settings.spawn_grace_s
        if row.state != State.STARTING or overdue:
            if self.executor.collect(ticket) and self.executor.revoke(ticket):
                return Exit(None, None, "launcher_error")
        elif since is None:
            self._launch(ticket)
        return None

    def _listen(self, ticket: Ticket, row: JobRow) -> None:
        """Say once when a trainer that lives has stopped reporting, and when it is back."""
        beat = beat_of(ticket.run, ticket.attempt)
        silent_s = self.clock() - beat.ts if beat else 0.0
        silent = silent_s > self.settings.silent_after_s
        if silent == (ticket.lease in self._silent):
            return
        with self.db.write() as writer:
            data = {"silent": silent, "silent_s": round(silent_s)}
            add_event(writer, "job.silent", row.id, data)
        (self._silent.add if silent else self._silent.discard)(ticket.lease)

    # --- starting --------------------------------------------------------------------------

    def _schedule(self) -> None:
        with self.db.read() as reader:
            queued = store.waiting(reader)
            held = leased(reader, self.host)
        if not queued:
            return
        candidates = [Candidate(r.id, r.number, r.priority, r.not_before) for r in queued]
        decisions = plan(Snapshot(candidates, self.devices(), frozenset(held), self.clock()))
        by_id = {r.id: r for r in queued}
        self._explain([d for d in decisions if by_id[d.job].blocked_by != d.blocked_by])
        for decision in decisions:
            if decision.devices:
                self._start(by_id[decision.job], decision)

    def _explain(self, decisions: list[Decision]) -> None:
        """Store why jobs wait, all in one transaction."""
        waiting = [d for d in decisions if d.blocked_by]
        if not waiting:
            return
        with self.db.write() as writer:
            for decision in waiting:
                store.set_fields(writer, decision.job, blocked_by=decision.blocked_by)

    def _start(self, row: JobRow, decision: Decision) -> None:
        """Lease and book, then launch; a crash in between is made good by `_await_launch`."""
        number, lease = row.attempt + 1, secrets.token_hex(8)
        now = self.clock()
        try:
            with self.db.write() as writer:
                store.transition(
                    writer,
                    row,
                    State.STARTING,
                    cause="scheduled",
                    actor="daemon",
                    attempt=number,
                    devices=list(decision.devices),
                    started_at=now,
                    ended_at=None,
                    blocked_by=None,
                    reason=None,
                )
                take_lease(writer, lease, self.host, decision.devices, row.id, number)
                add_attempt(writer, row.id, number, lease, list(decision.devices), now)
        except Conflict:
            return  # it was cancelled or held meanwhile
        self._launch(Ticket(RunDir(Path(row.run_dir)), number, lease, decision.devices))
        log.info("job %s attempt %s started on %s", row.id, number, ", ".join(decision.devices))

    def _launch(self, ticket: Ticket) -> None:
        """A launch that fails is booked when its time to report is over."""
        self._launched[ticket.lease] = self.clock()
        try:
            ticket.run.create()
            self.executor.start(ticket)
        except OSError as error:
            log.error("attempt %s of %s: %s", ticket.attempt, ticket.run.path, error)
