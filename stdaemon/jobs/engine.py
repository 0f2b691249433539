"""The daemon's loop: look at every live attempt, carry stops forward, start what can start.

One thread owns it. It acts only on facts in the store and in run directories, so starting it
again after a crash is the same as its next turn: adoption needs no code of its own.
"""

from __future__ import annotations

import logging
import secrets
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path

from stdaemon.exec.local import LocalExecutor, Observation
from stdaemon.jobs.outcomes import Exit, decide
from stdaemon.jobs.stop import advance_stop
from stdaemon.sched.plan import Candidate, Decision, Snapshot, plan
from stdaemon.settings import Settings
from stdaemon.store import jobs as store
from stdaemon.store.db import Database, ReadOnly
from stdaemon.store.jobs import Conflict, JobRow
from stdaemon.watch.events import new_fields
from stdaemon.wire.jobs import TERMINAL, State
from trainer.runs.files import read_json
from trainer.runs.layout import RunDir

log = logging.getLogger("stdaemon")


class Engine:
    """Call `wake()` when something changed; it turns at least every tick."""

    def __init__(
        self,
        db: Database,
        settings: Settings,
        executor: LocalExecutor,
        devices: Callable[[], list[str]],
    ) -> None:
        self.db = db
        self.settings = settings
        self.executor = executor
        self.devices = devices
        self.host = socket.gethostname()
        self.on_active: Callable[[list[JobRow]], None] = lambda rows: None
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
            except ReadOnly as error:
                log.error("the store cannot be written: %s", error)
            except Exception:
                log.exception("a turn of the engine failed; the next one tries again")
            self._wake.wait(self.settings.tick_s)
            self._wake.clear()

    def turn(self) -> None:
        """One look at everything."""
        self.executor.reap()
        with self.db.read() as reader:
            active = store.active(reader)
        self.on_active(active)
        for row in active:
            try:
                self._look(row)
            except Conflict:
                continue  # a user was faster: the next turn sees the new state
        self._schedule()

    # --- live attempts ---------------------------------------------------------------------

    def _look(self, row: JobRow) -> None:
        run = RunDir(Path(row.run_dir))
        seen = self.executor.observe(
            run,
            row.attempt,
            launched_s=time.time() - (row.started_at or 0.0),
            grace_s=self.settings.spawn_grace_s,
        )
        row = self._apply_events(run, row)
        if seen.end is not None:
            self._finish(run, self._apply_events(run, row), seen.end)
        elif row.state == State.STARTING and self._reports(run, row):
            with self.db.write() as writer:
                store.transition(writer, row, State.RUNNING, cause="reports", actor="daemon")
                store.set_attempt(writer, row.id, row.attempt, pid=_pid(seen))
        elif row.state == State.STOPPING:
            advance_stop(self.db, self.settings, self.executor, run, row, seen)

    def _apply_events(self, run: RunDir, row: JobRow) -> JobRow:
        fields = new_fields(run, row)
        if not fields:
            return row
        with self.db.write() as writer:
            store.set_fields(writer, row.id, **fields)
            return store.by_id(writer, row.id)

    def _reports(self, run: RunDir, row: JobRow) -> bool:
        beat = read_json(run.heartbeat)
        return bool(beat) and beat.get("attempt") == row.attempt

    def _finish(self, run: RunDir, row: JobRow, end: Exit) -> None:
        """Book the end of an attempt and give its devices back, in one transaction."""
        outcome = decide(
            end,
            stop_intent=row.stop_intent if row.state == State.STOPPING else None,
            failures=row.failures,
            max_attempts=self.settings.max_attempts,
        )
        now = time.time()
        fields: dict[str, object] = {
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
            fields["not_before"] = now + self._backoff(row.failures) if outcome.counts else now
        with self.db.write() as writer:
            if row.state == State.STARTING and outcome.state in (State.SUCCEEDED,):
                row = store.transition(writer, row, State.RUNNING, cause="reports", actor="daemon")
            store.transition(
                writer, row, outcome.state, cause=outcome.reason, actor="daemon", **fields
            )
            store.set_attempt(
                writer,
                row.id,
                row.attempt,
                ended_at=now,
                exit_code=end.code,
                signal=end.signal,
                reason=outcome.reason,
            )
            store.release_leases(writer, row.id)
        log.info("job %s attempt %s: %s (%s)", row.id, row.attempt, outcome.state, outcome.reason)
        self.wake()

    def _backoff(self, failures: int) -> float:
        return min(self.settings.retry_base_s * 2**failures, self.settings.retry_max_s)

    # --- starting --------------------------------------------------------------------------

    def _schedule(self) -> None:
        with self.db.read() as reader:
            queued = store.in_states(reader, [State.QUEUED])
            held = store.leased(reader, self.host)
        if not queued:
            return
        devices = self.devices()
        candidates = [Candidate(r.id, r.number, r.priority, r.not_before) for r in queued]
        free = [d for d in devices if d not in held]
        by_id = {r.id: r for r in queued}
        for decision in plan(Snapshot(candidates, free, devices, time.time())):
            row = by_id[decision.job]
            if decision.devices:
                self._start(row, decision)
            elif row.blocked_by != decision.blocked_by:
                with self.db.write() as writer:
                    store.set_fields(writer, row.id, blocked_by=decision.blocked_by)

    def _start(self, row: JobRow, decision: Decision) -> None:
        """Lease, book and launch; a crash between booking and launching costs one retry."""
        number, lease = row.attempt + 1, secrets.token_hex(8)
        try:
            with self.db.write() as writer:
                store.take_lease(writer, lease, self.host, decision.devices, row.id, number)
                store.transition(
                    writer,
                    row,
                    State.STARTING,
                    cause="scheduled",
                    actor="daemon",
                    attempt=number,
                    devices=list(decision.devices),
                    started_at=time.time(),
                    ended_at=None,
                    blocked_by=None,
                    reason=None,
                )
                store.add_attempt(writer, row.id, number, lease, list(decision.devices))
        except Conflict:
            return
        run = RunDir(Path(row.run_dir))
        self.executor.start(run.create(), number, lease, decision.devices)
        log.info("job %s attempt %s started on %s", row.id, number, ", ".join(decision.devices))


def _pid(seen: Observation) -> int | None:
    return seen.trainer["pid"] if seen.trainer else None
