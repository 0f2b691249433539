"""Log text by byte range."""

from __future__ import annotations

from stdaemon.wire.base import Message


class LogChunk(Message):
    """Bytes `offset` to `next_offset` of the log; `done` when the job has ended and this is all."""

    offset: int
    next_offset: int
    size: int
    text: str
    done: bool = False
