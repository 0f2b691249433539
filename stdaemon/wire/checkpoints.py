"""Checkpoints of a run."""

from __future__ import annotations

from stdaemon.wire.base import Message


class Checkpoint(Message):
    """`verified` tells whether the manifest and the sizes of all files agree."""

    step: int
    path: str
    bytes: int
    created: float
    verified: bool | None = None
