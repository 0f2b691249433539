"""Validation pictures of a run."""

from __future__ import annotations

from stdaemon.wire.base import Message


class Sample(Message):
    """One picture; `path` is relative to the run directory."""

    step: int
    path: str
    prompt: str = ""
    seed: int | None = None
    width: int = 0
    height: int = 0
