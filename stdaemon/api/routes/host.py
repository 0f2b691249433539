"""The daemon and its host: handshake, figures, shutdown."""

from __future__ import annotations

import os
import signal
import socket
import time
from importlib.metadata import version
from typing import Annotated

from fastapi import APIRouter, Query

from stdaemon.api.context import Ctx, snapshot
from stdaemon.wire.hosts import HostHistory, HostSnapshot
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


@router.get("/host/history")
def history(ctx: Ctx, seconds: Annotated[float, Query(gt=0, le=86400)] = 120.0) -> HostHistory:
    """Figures of the last seconds."""
    ctx.sampler.touch()
    return ctx.sampler.window(seconds)


@router.post("/shutdown", status_code=202)
def shutdown() -> dict[str, str]:
    """Stop the daemon; jobs go on and are found again by the next one."""
    os.kill(os.getpid(), signal.SIGTERM)
    return {"status": "stopping"}
