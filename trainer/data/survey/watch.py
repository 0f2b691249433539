"""Progress of a verb for the program that started it, and the wish to stop.

Progress goes to stderr, one JSON object a line, at most five a second. SIGINT and SIGTERM only set
a flag; whatever runs asks `tick` between two pieces of work, so nothing is left half written.
"""

from __future__ import annotations

import json
import signal
import sys
import time
from collections.abc import Callable
from types import FrameType

from trainer.errors import Preempted
from trainer.findings import finding

EVERY_S = 0.2


class Watch:
    """Told how far a stage is; raises Preempted once a stop was asked for."""

    def __init__(self, write: Callable[[str], object] | None = None) -> None:
        self._write = write or _stderr
        self._next = 0.0
        self.stop = False

    def install(self) -> None:
        """Hear signals from now on."""
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._asked)

    def _asked(self, number: int, frame: FrameType | None) -> None:
        self.stop = True

    def tick(self, stage: str, done: int, total: int | None = None) -> None:
        """`total` is None while the end is not known."""
        if self.stop:
            raise Preempted(
                finding(
                    "RUN009",
                    "stopped on request while looking at the data",
                    fix="the same command continues; what was looked at is remembered",
                    level="info",
                )
            )
        self.show(stage, done, total)

    def show(self, stage: str, done: int, total: int | None = None) -> None:
        """Progress alone, of work that asks `stop` by itself."""
        now = time.monotonic()
        if now < self._next and done != total:
            return
        self._next = now + EVERY_S
        event = {"kind": "data.progress", "stage": stage, "done": done, "total": total}
        self._write(json.dumps(event) + "\n")


def _stderr(line: str) -> None:
    sys.stderr.write(line)
    sys.stderr.flush()
