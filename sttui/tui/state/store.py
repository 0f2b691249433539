"""What the client knows of one host: snapshots plus the events since. Only `reduce` changes it."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Literal

from stdaemon.wire.hosts import HostSnapshot
from stdaemon.wire.jobs import Job
from stdaemon.wire.version import Hello

Connection = Literal["connecting", "online", "offline", "refused"]
HISTORY = 600
EVENTS = 200


@dataclass(slots=True)
class HostState:
    connection: Connection = "connecting"
    problem: str = ""
    fix: str = ""
    since: float = 0.0
    hello: Hello | None = None
    host: HostSnapshot | None = None
    history: deque[HostSnapshot] = field(default_factory=lambda: deque(maxlen=HISTORY))
    jobs: dict[str, Job] = field(default_factory=dict)
    events: deque[tuple[float, str]] = field(default_factory=lambda: deque(maxlen=EVENTS))
    revision: int = 0  # grows with each change: a screen redraws when it differs

    @property
    def online(self) -> bool:
        return self.connection == "online"
