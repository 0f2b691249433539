"""The daemon and its host: handshake, figures, events, shutdown."""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Iterable
from importlib.metadata import version
from typing import Annotated, Any

from fastapi import APIRouter, Query
from fastapi.responses import StreamingResponse

from stdaemon.api.context import Context, Ctx
from stdaemon.api.stream import LastEventId, frame, start_after, stream
from stdaemon.gpu.base import devices
from stdaemon.store import jobs as store
from stdaemon.store.events import events_after, last_seq
from stdaemon.wire.events import Event, EventPage
from stdaemon.wire.hosts import HostHistory, HostSnapshot, Slot
from stdaemon.wire.version import Hello

router = APIRouter(prefix="/v1", tags=["host"])
FEATURES = ["jobs", "logs", "events", "metrics", "samples", "pixels", "presets", "host"]


@router.get("/hello")
def hello(ctx: Ctx) -> Hello:
    """Who answers, and in which version."""
    return Hello(
        version=version("simpletuner-terminal"),
        instance=ctx.instance,
        hostname=socket.gethostname(),
        user=ctx.user,
        started_at=ctx.started_at,
        time=time.time(),
        read_only=ctx.db.read_only,
        features=FEATURES,
    )


@router.get("/host")
def host(ctx: Ctx) -> HostSnapshot:
    """Latest figures of host and GPUs, with the jobs that hold devices."""
    ctx.sampler.touch()
    return snapshot(ctx)


def snapshot(ctx: Context) -> HostSnapshot:
    latest = ctx.sampler.latest()
    with ctx.db.read() as reader:
        held = store.leased(reader, ctx.engine.host)
    gpus = [gpu.model_copy(update={"job": held.get(gpu.uuid)}) for gpu in latest.gpus]
    slots = [Slot(device=d, job=held.get(d)) for d in devices(latest.gpus)]
    return latest.model_copy(update={"gpus": gpus, "slots": slots})


@router.get("/host/history")
def history(ctx: Ctx, seconds: Annotated[float, Query(gt=0, le=86400)] = 120.0) -> HostHistory:
    """Figures of the last seconds."""
    ctx.sampler.touch()
    return ctx.sampler.window(seconds)


@router.get("/events")
def events(
    ctx: Ctx,
    after: Annotated[int, Query(ge=0, le=2**62)] = 0,
    limit: Annotated[int, Query(ge=1, le=10_000)] = 1000,
) -> EventPage:
    """Stored events of the daemon after a sequence number."""
    with ctx.db.read() as reader:
        rows = events_after(reader, after, limit=limit)
        last = last_seq(reader)
    return EventPage(events=[dict(r._mapping) for r in rows], last=last)


@router.get("/events/stream", response_class=StreamingResponse)
def event_stream(
    ctx: Ctx,
    after: Annotated[int, Query(ge=0, le=2**62)] = 0,
    last_event_id: LastEventId = None,
) -> StreamingResponse:
    """Changes of state (numbered), progress of running jobs and host figures (not numbered)."""
    seen = start_after(after, last_event_id)
    shown: dict[str, Any] = {}

    def poll() -> tuple[Iterable[str], bool]:
        nonlocal seen
        ctx.sampler.touch()
        frames = []
        with ctx.db.read() as reader:
            rows = events_after(reader, seen)
            active = store.active(reader)
        for row in rows:
            seen = row.seq
            frames.append(frame(_dump(Event.model_validate(dict(row._mapping))), id=row.seq))
        for row in active:
            data = {k: getattr(row, k) for k in PROGRESS}
            if shown.get(row.id) != data:
                shown[row.id] = data
                event = Event(ts=time.time(), kind="job.progress", job=row.id, data=data)
                frames.append(frame(_dump(event)))
        latest = ctx.sampler.latest()
        if shown.get("") != latest.ts:
            shown[""] = latest.ts
            data = snapshot(ctx).model_dump(mode="json")
            frames.append(frame(_dump(Event(ts=latest.ts, kind="host.metrics", data=data))))
        return frames, False

    return stream(poll)


PROGRESS = ("state", "phase", "step", "total", "loss", "it_s", "eta_s", "attempt")


def _dump(event: Event) -> str:
    return event.model_dump_json()


@router.post("/shutdown", status_code=202)
def shutdown() -> dict[str, str]:
    """Stop the daemon; jobs go on and are found again by the next one."""
    os.kill(os.getpid(), signal.SIGTERM)
    return {"status": "stopping"}
