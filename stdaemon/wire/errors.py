"""What a refused request answers."""

from __future__ import annotations

from pydantic import Field

from stdaemon.wire.base import Message
from trainer.findings import Finding


class Problem(Message):
    """After RFC 9457, with our findings."""

    title: str
    status: int
    detail: str = ""
    findings: list[Finding] = Field(default_factory=list)
