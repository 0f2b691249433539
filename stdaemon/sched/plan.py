"""Which queued jobs start now: a pure function of a snapshot.

Order: priority, then number. A job that waits for its back-off keeps its place but lets others
pass. Each job that does not start gets the reason, worded so that it stays the same while
nothing changes.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime


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
    """`devices` maps each device to why it must not be used now, None when it may."""

    candidates: Sequence[Candidate]
    devices: Mapping[str, str | None]
    leased: Collection[str]
    now: float


@dataclass(frozen=True, slots=True)
class Decision:
    """Start on `devices`, or stay queued because of `blocked_by`."""

    job: str
    devices: tuple[str, ...] = ()
    blocked_by: str | None = None


def plan(snapshot: Snapshot) -> list[Decision]:
    """Decisions for all candidates, in scheduling order."""
    unleased = {d: why for d, why in snapshot.devices.items() if d not in snapshot.leased}
    unfit = [why for why in unleased.values() if why]
    free = [d for d, why in unleased.items() if not why]
    decisions = []
    for job in sorted(snapshot.candidates, key=lambda c: (-c.priority, c.number)):
        blocked_by = _blocked(job, snapshot, len(free), unfit)
        taken: tuple[str, ...] = ()
        if blocked_by is None:
            taken, free = tuple(free[: job.num_devices]), free[job.num_devices :]
        decisions.append(Decision(job.id, taken, blocked_by))
    return decisions


def _blocked(job: Candidate, snapshot: Snapshot, num_free: int, unfit: list[str]) -> str | None:
    total = len(snapshot.devices)
    if job.not_before > snapshot.now:
        moment = datetime.fromtimestamp(job.not_before, UTC)
        return f"waits for its next attempt at {moment:%H:%M:%S} UTC"
    if job.num_devices > total:
        return f"needs {job.num_devices} devices, the host has {total}"
    if job.num_devices > num_free:
        busy = f"devices busy: {num_free} of {total} free"
        return f"{busy}; {'; '.join(unfit)}"[:200] if unfit else busy
    return None
