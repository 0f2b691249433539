"""Which queued jobs start now: a pure function of a snapshot.

Order: priority, then age, then number. A job that waits for its back-off keeps its place but
lets others pass. Each job that does not start gets the reason.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Candidate:
    """A queued job; `not_before` and the clock in seconds since the epoch."""

    id: str
    number: int
    priority: int
    not_before: float
    num_devices: int = 1


@dataclass(frozen=True, slots=True)
class Snapshot:
    candidates: Sequence[Candidate]
    free_devices: Sequence[str]
    all_devices: Sequence[str]
    now: float


@dataclass(frozen=True, slots=True)
class Decision:
    """Start on `devices`, or stay queued because of `blocked_by`."""

    job: str
    devices: tuple[str, ...] = ()
    blocked_by: str | None = None


def plan(snapshot: Snapshot) -> list[Decision]:
    """Decisions for all candidates, in scheduling order."""
    free = list(snapshot.free_devices)
    decisions = []
    for job in sorted(snapshot.candidates, key=lambda c: (-c.priority, c.number)):
        if job.not_before > snapshot.now:
            wait = job.not_before - snapshot.now
            decisions.append(Decision(job.id, blocked_by=f"retry in {wait:.0f} s"))
        elif job.num_devices > len(snapshot.all_devices):
            decisions.append(
                Decision(
                    job.id,
                    blocked_by=f"needs {job.num_devices} devices, the host has "
                    f"{len(snapshot.all_devices)}",
                )
            )
        elif job.num_devices > len(free):
            decisions.append(
                Decision(
                    job.id,
                    blocked_by=f"devices busy: {len(free)} of {len(snapshot.all_devices)} free",
                )
            )
        else:
            taken, free = free[: job.num_devices], free[job.num_devices :]
            decisions.append(Decision(job.id, devices=tuple(taken)))
    return decisions
