"""Put the daemon together: store, engine, sampler, API."""

from __future__ import annotations

import time
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI

from stdaemon.api import errors
from stdaemon.api.context import Context
from stdaemon.api.routes import host, jobs, presets, runs
from stdaemon.exec.local import LocalExecutor
from stdaemon.gpu.base import devices, open_source
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
    db.migrate()
    sampler = HostSampler(
        open_source(),
        settings.runs,
        watched_s=settings.watched_sample_s,
        idle_s=settings.idle_sample_s,
    )
    executor = LocalExecutor(settings.trainer_command)
    engine = Engine(db, settings, executor, lambda: devices(sampler.latest().gpus))
    return Context(
        settings=settings,
        db=db,
        engine=engine,
        sampler=sampler,
        instance=uuid.uuid4().hex,
        user=current_user(),
        started_at=time.time(),
    )


def make_app(settings: Settings) -> FastAPI:
    """The API; starting it starts the engine, stopping it leaves jobs alone."""

    @asynccontextmanager
    async def life(app: FastAPI) -> AsyncIterator[None]:
        context = make_context(settings)
        app.state.context = context
        changes = ChangeWatch(context.engine.wake)
        context.engine.on_active = lambda rows: changes.keep(r.run_dir for r in rows)
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
    for router in (host.router, runs.router, jobs.router, presets.router):
        app.include_router(router)
    return app
