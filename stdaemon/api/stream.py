"""Server-sent events over growing files and tables, resumable by `Last-Event-ID`."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Annotated

from fastapi import Header
from fastapi.responses import StreamingResponse

POLL_S = 0.1
KEEP_ALIVE_S = 15.0

LastEventId = Annotated[str | None, Header(alias="Last-Event-ID")]


def start_after(after: int, last_event_id: str | None) -> int:
    """The header of a reconnecting client wins over the query."""
    if last_event_id and last_event_id.isdigit():
        return max(after, int(last_event_id))
    return after


def frame(data: str, *, id: int | None = None, event: str | None = None) -> str:
    head = (f"id: {id}\n" if id is not None else "") + (f"event: {event}\n" if event else "")
    return f"{head}data: {data}\n\n"


def stream(poll: Callable[[], tuple[Iterable[str], bool]]) -> StreamingResponse:
    """Frames of `poll()` until it says that it is finished; idle times get a comment."""

    async def body() -> AsyncIterator[str]:
        yield ": stream\n\n"
        quiet_since = time.monotonic()
        while True:
            frames, finished = await asyncio.to_thread(poll)
            for item in frames:
                quiet_since = time.monotonic()
                yield item
            if finished:
                return
            if time.monotonic() - quiet_since > KEEP_ALIVE_S:
                quiet_since = time.monotonic()
                yield ": keep-alive\n\n"
            await asyncio.sleep(POLL_S)

    headers = {"Cache-Control": "no-store"}
    return StreamingResponse(body(), media_type="text/event-stream", headers=headers)
