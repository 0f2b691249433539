"""Requests to a running trainer: signals and the control file, honoured between steps (B09).

SIGTERM and SIGINT ask for a checkpoint and exit 75; SIGUSR1 for a checkpoint; a second SIGINT
ends the process at once, which loses only the steps since the last checkpoint. Long phases
(caching, sampling) ask `stop_requested()` themselves.
"""

from __future__ import annotations

import os
import signal
import time
from types import FrameType

from trainer.findings import finding
from trainer.runs.control import COMMANDS, Command, ControlReader
from trainer.runs.events import EventWriter
from trainer.runs.layout import RunDir

POLL_INTERVAL_S = 0.1


class Control:
    """Collects requests; the loop acts on them."""

    def __init__(self, run: RunDir, events: EventWriter) -> None:
        self.stop_intent: str | None = None
        self.checkpoint = False
        self.validate = False
        self._events = events
        self._reader = ControlReader(run.control)
        self._next_poll = 0.0
        self._interrupts = 0

    def install_signals(self) -> None:
        signal.signal(signal.SIGTERM, self._on_signal)
        signal.signal(signal.SIGINT, self._on_signal)
        signal.signal(signal.SIGUSR1, self._on_signal)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if number == signal.SIGUSR1:
            self.checkpoint = True
            return
        if number == signal.SIGINT:
            self._interrupts += 1
            if self._interrupts > 1:
                os._exit(130)  # the newest complete checkpoint is intact by construction
        self.stop_intent = self.stop_intent or "preempt"

    def poll(self) -> None:
        """Read new commands, at most ten times a second."""
        now = time.monotonic()
        if now < self._next_poll:
            return
        self._next_poll = now + POLL_INTERVAL_S
        for command in self._reader.poll():
            self._accept(command)

    def _accept(self, command: Command) -> None:
        result = "ok"
        match command.command:
            case "stop":
                self.stop_intent = str(command.args.get("intent", "stop"))
            case "checkpoint":
                self.checkpoint = True
            case "validate":
                self.validate = True
            case "ping":
                pass
            case other:
                result = "unknown"
                problem = finding(
                    "RUN010",
                    f"unknown command {other!r}",
                    level="warn",
                    fix=f"one of {', '.join(COMMANDS)}",
                )
                self._events.emit("finding", finding=problem.model_dump())
        self._events.emit("control.ack", id=command.id, command=command.command, result=result)

    def stop_requested(self) -> bool:
        self.poll()
        return self.stop_intent is not None
