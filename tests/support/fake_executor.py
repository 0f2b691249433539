"""A world of trainers without processes: the test decides what each one does and when it dies.

It keeps the promises of `stdaemon.exec.base` and watches the daemon's: two trainers on one device
or in one run directory at a time is an assertion failure at the moment it happens.
"""

from __future__ import annotations

import json
import os
import signal
import time
from dataclasses import dataclass, field
from typing import Any

from stdaemon.exec.base import Observation, Ticket
from stdaemon.jobs.outcomes import Exit
from trainer.runs.events import EventWriter
from trainer.runs.files import write_json


@dataclass
class Trainer:
    """One launched attempt."""

    ticket: Ticket
    reported: bool = False
    end: Exit | None = None
    signals: list[signal.Signals] = field(default_factory=list)

    @property
    def alive(self) -> bool:
        return self.end is None


class FakeExecutor:
    """`deaf` trainers ignore TERM; `sticky` ones survive every attempt to clear up."""

    def __init__(self) -> None:
        self.trainers: dict[str, Trainer] = {}
        self.revoked: set[str] = set()
        self.lose_starts = False
        self.deaf = False
        self.sticky = False
        self.broken: set[str] = set()
        self.now = time.time

    # --- the daemon's side -----------------------------------------------------------------

    def start(self, ticket: Ticket) -> None:
        if self.lose_starts or ticket.lease in self.trainers or ticket.lease in self.revoked:
            return
        for other in self.alive():
            assert other.ticket.run != ticket.run, "two trainers in one run directory"
            shared = set(other.ticket.devices) & set(ticket.devices)
            assert not shared, f"two trainers on {shared}"
        self.trainers[ticket.lease] = Trainer(ticket)

    def observe(self, ticket: Ticket) -> Observation:
        if ticket.run.path.name in self.broken:
            raise RuntimeError("this run cannot be looked at")
        trainer = self.trainers.get(ticket.lease)
        if trainer is None:
            return Observation(pending=True)
        if trainer.end is not None:
            return Observation(end=trainer.end)
        return Observation(trainer={"pid": 1})

    def signal(self, ticket: Ticket, trainer: dict[str, Any], number: signal.Signals) -> bool:
        found = self.trainers[ticket.lease]
        found.signals.append(number)
        if number is signal.SIGKILL:
            found.end = Exit(None, int(number), "killed_signal")
        elif not self.deaf:
            self.finish(found, 75, "preempt") if found.reported else self.die(found, 15)
        return True

    def revoke(self, ticket: Ticket) -> bool:
        if ticket.lease in self.trainers:
            return False
        self.revoked.add(ticket.lease)
        return True

    def collect(self, ticket: Ticket) -> bool:
        if self.sticky:
            return False
        trainer = self.trainers.get(ticket.lease)
        if trainer is not None and trainer.alive:
            self.die(trainer, 9)
        return True

    def reap(self) -> None:
        return None

    # --- the world's side ------------------------------------------------------------------

    def alive(self) -> list[Trainer]:
        return [t for t in self.trainers.values() if t.alive]

    def of(self, run_dir: str) -> Trainer:
        """The newest trainer of a run directory."""
        return [t for t in self.trainers.values() if str(t.ticket.run.path) == run_dir][-1]

    def report(self, trainer: Trainer, *, saving: bool = False, ts: float | None = None) -> None:
        """A sign of life; the first one also writes the event of the start."""
        run = trainer.ticket.run
        if not trainer.reported:
            self.emit(trainer, "run.start", attempt=trainer.ticket.attempt, pid=1, total_steps=100)
        trainer.reported = True
        beat = {"ts": self.now() if ts is None else ts, "saving": saving}
        write_json(run.heartbeat, beat | {"attempt": trainer.ticket.attempt}, durable=False)

    def emit(self, trainer: Trainer, kind: str, **fields: Any) -> None:
        run = trainer.ticket.run
        writer = EventWriter(run.events, run.path.name)
        extra = {"resumed_step": None} if kind == "run.start" else {}
        writer.emit(kind, **extra, **fields)
        writer.close()

    def progress(self, trainer: Trainer, step: int) -> None:
        row = {"step": step, "total": 100, "epoch": 0, "loss": 1.0, "loss_ema": 1.0, "lr": 1e-4}
        self.emit(trainer, "progress", **row, grad_norm=1.0, it_s=1.0, eta_s=1.0)

    def finish(self, trainer: Trainer, code: int, reason: str | None = None) -> None:
        trainer.end = Exit(code, None, reason)

    def die(self, trainer: Trainer, number: int) -> None:
        trainer.end = Exit(None, number, "killed_signal")

    def asked_to_stop(self, trainer: Trainer) -> bool:
        control = trainer.ticket.run.control
        if not os.path.exists(control):
            return False
        commands = [json.loads(line) for line in control.read_text().splitlines()]
        suffix = f"-{trainer.ticket.attempt}"
        return any(c["command"] == "stop" and c["id"].endswith(suffix) for c in commands)
