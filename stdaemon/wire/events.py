"""Events of the daemon, and pages of run events."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from stdaemon.wire.base import Message


class Event(Message):
    """Something the daemon tells; only job.state events are stored and numbered."""

    seq: int | None = None
    ts: float
    kind: str
    job: str | None = None
    data: dict[str, Any] = Field(default_factory=dict)


class EventPage(Message):
    """Records after a sequence number; `last` is the highest one known."""

    events: list[dict[str, Any]]
    last: int = 0
