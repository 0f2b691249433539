"""Waiting before the next attempt: exponential, capped, with jitter (tui.md §2.6).

0.5, 1, 2, 4, 8 and then 15 seconds, each ±20 %, so that many clients of a restarted daemon do
not return in step. Randomness and sleep are injected, so tests need no clock.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field

FIRST_S = 0.5
CAP_S = 15.0
JITTER = 0.2


@dataclass(slots=True)
class Backoff:
    """Delays of one series of failed attempts; `reset()` after a success."""

    sleep: Callable[[float], None] = time.sleep
    uniform: Callable[[float, float], float] = random.uniform
    attempts: int = field(default=0, init=False)

    def delay_s(self) -> float:
        """Seconds before the attempt after the next failure."""
        base = min(CAP_S, FIRST_S * 2.0 ** min(self.attempts, 10))
        self.attempts += 1
        return base * self.uniform(1.0 - JITTER, 1.0 + JITTER)

    def wait(self) -> float:
        """Sleep for the next delay and return it."""
        delay = self.delay_s()
        self.sleep(delay)
        return delay

    def reset(self) -> None:
        self.attempts = 0
