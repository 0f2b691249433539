"""What the client knows of one host: snapshots plus the events since. Only `reduce` changes it."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Literal

from stdaemon.wire.hosts import HostSnapshot
from stdaemon.wire.jobs import Job
from stdaemon.wire.version import Hello

Connection = Literal["connecting", "online", "offline", "needs login", "refused", "incompatible"]
HISTORY = 600
EVENTS = 200
QUIET_S = 5.0


@dataclass(frozen=True, slots=True)
class Told:
    """A change of state, as the event list shows it."""

    ts: float
    job: str
    new: str
    cause: str


@dataclass(slots=True)
class HostState:
    """`revision` grows with each change: a screen redraws when it differs."""

    connection: Connection = "connecting"
    problem: str = ""
    fix: str = ""
    since: float = 0.0
    retry_at: float | None = None
    heard_at: float = 0.0
    clock_offset_s: float = 0.0
    hello: Hello | None = None
    host: HostSnapshot | None = None
    series: dict[str, deque[float | None]] = field(default_factory=dict)
    jobs: dict[str, Job] = field(default_factory=dict)
    events: deque[Told] = field(default_factory=lambda: deque(maxlen=EVENTS))
    revision: int = 0
    order: list[str] | None = None  # of all jobs, until one comes, goes or changes its state

    @property
    def online(self) -> bool:
        return self.connection == "online"

    def quiet_s(self, now: float) -> float:
        """For how long an online daemon has said nothing (it speaks every second)."""
        return max(0.0, now - self.heard_at) if self.online else 0.0
