"""Events of the whole daemon: pages of the stored ones, and a live stream."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Annotated, Any

from fastapi import APIRouter, Query
from fastapi.responses import StreamingResponse

from stdaemon.api.context import Context, Ctx, snapshot
from stdaemon.api.stream import LastEventId, frame, start_after, stream
from stdaemon.store import jobs as store
from stdaemon.store.events import events_after, last_seq
from stdaemon.wire.events import Event, EventPage

router = APIRouter(prefix="/v1/events", tags=["events"])
PROGRESS = ("state", "phase", "step", "total", "loss", "it_s", "eta_s", "attempt")

Position = Annotated[int, Query(ge=0, le=2**62)]


@router.get("")
def events(
    ctx: Ctx, after: Position = 0, limit: Annotated[int, Query(ge=1, le=10_000)] = 1000
) -> EventPage:
    """Stored events of the daemon after a sequence number."""
    with ctx.db.read() as reader:
        rows = events_after(reader, after, limit=limit)
        last = last_seq(reader)
    return EventPage(events=[dict(r._mapping) for r in rows], last=last)


@router.get("/stream", response_class=StreamingResponse)
def event_stream(
    ctx: Ctx, after: Position = 0, last_event_id: LastEventId = None
) -> StreamingResponse:
    """Stored events (numbered), progress of running jobs and host figures (not numbered)."""
    return stream(_Feed(ctx, start_after(after, last_event_id)).poll)


class _Feed:
    """What one client has been told."""

    def __init__(self, ctx: Context, seq: int) -> None:
        self._ctx = ctx
        self._seq = seq
        self._progress: dict[str, dict[str, Any]] = {}
        self._host_ts = 0.0

    def poll(self) -> tuple[Iterable[str], bool]:
        ctx = self._ctx
        ctx.sampler.touch()
        frames = []
        with ctx.db.read() as reader:
            rows = events_after(reader, self._seq)
            active = store.progress(reader, PROGRESS)
        for row in rows:
            self._seq = row.seq
            frames.append(frame(_dump(Event.model_validate(dict(row._mapping))), id=row.seq))
        for row in active:
            data = {k: getattr(row, k) for k in PROGRESS}
            if self._progress.get(row.id) != data:
                self._progress[row.id] = data
                event = Event(ts=time.time(), kind="job.progress", job=row.id, data=data)
                frames.append(frame(_dump(event)))
        latest = ctx.sampler.latest()
        if self._host_ts != latest.ts:
            self._host_ts = latest.ts
            data = snapshot(ctx).model_dump(mode="json")
            frames.append(frame(_dump(Event(ts=latest.ts, kind="host.metrics", data=data))))
        return frames, False


def _dump(event: Event) -> str:
    return event.model_dump_json()
