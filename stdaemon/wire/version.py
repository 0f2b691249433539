"""The handshake: who answers, in which version."""

from __future__ import annotations

from pydantic import Field

from stdaemon.wire.base import Message

API = "1.0"


class Hello(Message):
    """First answer of a daemon; times in seconds since the epoch."""

    product: str = "simpletuner-terminal"
    version: str
    api: str = API
    instance: str
    hostname: str
    user: str
    started_at: float
    time: float
    read_only: bool = False
    features: list[str] = Field(default_factory=list)
