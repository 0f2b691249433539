"""What every executor offers: start an attempt, look at it, signal it, clear up after it.

A ticket names one attempt with its lease. Every call carries it, so a command that arrives twice
or for an attempt that is long over has no effect (server.md §2.2, §16).
"""

from __future__ import annotations

import signal
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from stdaemon.jobs.outcomes import Exit
from trainer.runs.layout import RunDir


@dataclass(frozen=True, slots=True)
class Ticket:
    """One attempt of one job on its devices."""

    run: RunDir
    attempt: int
    lease: str
    devices: tuple[str, ...] = ()

    @property
    def folder(self) -> Path:
        return self.run.attempt(self.attempt)


@dataclass(frozen=True, slots=True)
class Observation:
    """Pending (no launcher has reported yet), running as `trainer`, or over with `end`."""

    pending: bool = False
    trainer: dict[str, Any] | None = None
    end: Exit | None = None


class Executor(Protocol):
    """Seam between the engine and the place where trainers run."""

    def start(self, ticket: Ticket) -> None:
        """Launch; returns at once, and a second call for the same ticket changes nothing."""
        ...

    def observe(self, ticket: Ticket) -> Observation:
        """Evidence about the attempt; never depends on this process having started it."""
        ...

    def signal(self, ticket: Ticket, trainer: dict[str, Any], number: signal.Signals) -> bool:
        """Signal the trainer and its children, if it is still that very process."""
        ...

    def revoke(self, ticket: Ticket) -> bool:
        """Withdraw a start that nobody has taken up; False when it is being taken up."""
        ...

    def collect(self, ticket: Ticket) -> bool:
        """End whatever still belongs to the attempt; True once nothing of it is left."""
        ...

    def reap(self) -> None:
        """Housekeeping of the executor itself."""
        ...
