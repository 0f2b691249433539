"""Apply what a feed tells to the state, in order."""

from __future__ import annotations

import time
from collections.abc import Iterable

from stdaemon.wire.events import Event
from stdaemon.wire.hosts import HostSnapshot
from stdaemon.wire.jobs import Job
from stdaemon.wire.version import Hello
from sttui.tui.state.store import Connection, HostState


def connected(state: HostState, hello: Hello, jobs: Iterable[Job], host: HostSnapshot) -> None:
    """A full snapshot after (re)connecting."""
    state.connection, state.problem, state.fix = "online", "", ""
    state.since = time.time()
    state.hello = hello
    state.jobs = {job.id: job for job in jobs}
    measured(state, host)


def disconnected(state: HostState, connection: Connection, problem: str, fix: str) -> None:
    """Data stays visible; the header tells how old it is."""
    if state.connection != connection:
        state.since = time.time()
    state.connection, state.problem, state.fix = connection, problem, fix
    state.revision += 1


def measured(state: HostState, host: HostSnapshot) -> None:
    state.host = host
    if not state.history or state.history[-1].ts != host.ts:
        state.history.append(host)
    state.revision += 1


def job_changed(state: HostState, job: Job) -> None:
    state.jobs[job.id] = job
    state.revision += 1


def told(state: HostState, event: Event) -> bool:
    """Apply one event; True when the job must be fetched again to know all its fields."""
    if event.kind == "host.metrics":
        measured(state, HostSnapshot.model_validate(event.data))
        return False
    job = state.jobs.get(event.job or "")
    if event.kind == "job.progress" and job is not None:
        state.jobs[job.id] = job.model_copy(update=event.data)
        state.revision += 1
        return False
    if event.kind == "job.state":
        name = job.name if job else event.job
        state.events.append((event.ts, f"{name}: {event.data['new']} ({event.data['cause']})"))
        state.revision += 1
        return True
    return False
