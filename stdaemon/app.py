"""Put the daemon together: store, engine, sampler, API."""

from __future__ import annotations

import time
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI

from stdaemon.api import errors
from stdaemon.api.context import Context
from stdaemon.api.routes import events, host, jobs, presets, runs
from stdaemon.exec.local import LocalExecutor, is_foreign
from stdaemon.gpu.base import open_source, usable
from stdaemon.gpu.sampler import HostSampler
from stdaemon.jobs.engine import Engine
from stdaemon.jobs.submit import current_user
from stdaemon.settings import Settings
from stdaemon.store.db import Database
from stdaemon.watch.changes import ChangeWatch
from stdaemon.wire.version import API


def make_context(settings: Settings) -> Context:
    """Everything but the web server; nothing runs yet."""
    settings.runs.mkdir(parents=True, exist_ok=True)
    db = Database(settings.database)
    db.open()
    sampler = HostSampler(
        open_source(),
        settings.runs,
        watched_s=settings.watched_sample_s,
        idle_s=settings.idle_sample_s,
    )

    def devices() -> dict[str, str | None]:
        return usable(sampler.source, sampler.latest().gpus, is_foreign)

    return Context(
        settings=settings,
        db=db,
        engine=Engine(db, settings, LocalExecutor(settings.trainer_command), devices),
        sampler=sampler,
        instance=uuid.uuid4().hex,
        user=current_user(),
        started_at=time.time(),
    )


def make_app(context: Context | None = None) -> FastAPI:
    """The API. Serving it starts the engine of the context, and its end leaves jobs alone; an
    app without a context serves nothing and is there for its OpenAPI document."""

    @asynccontextmanager
    async def life(app: FastAPI) -> AsyncIterator[None]:
        assert context is not None
        app.state.context = context
        changes = ChangeWatch(context.engine.wake)
        context.engine.on_active = changes.keep
        context.sampler.start()
        context.engine.start()
        yield
        context.engine.close()
        changes.close()
        context.sampler.close()
        context.db.close()

    app = FastAPI(
        title="SimpleTuner Terminal daemon",
        version=API,
        lifespan=life,
        docs_url=None,
        redoc_url=None,
        openapi_url="/v1/openapi.json",
    )
    errors.install(app)
    for router in (host.router, events.router, runs.router, jobs.router, presets.router):
        app.include_router(router)
    return app
