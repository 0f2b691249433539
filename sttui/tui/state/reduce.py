"""Apply what a feed tells to the state, in order."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable, Mapping
from typing import Any

from stdaemon.wire.events import Event
from stdaemon.wire.hosts import HostHistory, HostSnapshot
from stdaemon.wire.jobs import Job
from stdaemon.wire.version import Hello
from sttui.tui.state.store import HISTORY, Connection, HostState, Told


def connected(
    state: HostState,
    hello: Hello,
    jobs: Iterable[Job],
    *,
    host: HostSnapshot,
    history: HostHistory,
    events: Iterable[Mapping[str, Any]] = (),
) -> None:
    """A full snapshot after (re)connecting."""
    now = time.time()
    state.connection, state.problem, state.fix = "online", "", ""
    state.since = state.heard_at = now
    state.retry_at = None
    state.clock_offset_s = hello.time - now
    state.hello = hello
    state.jobs = {job.id: job for job in jobs}
    state.order = None
    state.host = host
    remembered(state, history)
    state.events.clear()
    for record in events:
        told(state, Event.model_validate(record))
    measured(state, host)


def more_jobs(state: HostState, jobs: Iterable[Job]) -> None:
    """Further pages of the job list; what events have changed meanwhile wins."""
    for job in jobs:
        state.jobs.setdefault(job.id, job)
    state.order = None
    state.revision += 1


def disconnected(
    state: HostState, connection: Connection, problem: str, fix: str, retry_at: float | None
) -> None:
    """Data stays visible; the header tells how old it is."""
    if state.connection != connection:
        state.since = time.time()
    state.connection, state.problem, state.fix = connection, problem, fix
    state.retry_at = retry_at
    state.revision += 1


def remembered(state: HostState, history: HostHistory) -> None:
    """The host's own past, so that curves do not start empty."""
    state.series.clear()
    total = state.host.ram_total if state.host else 0
    for cpu in history.cpu_percent:
        _note(state, "cpu", cpu)
    for used in history.ram_used if total else ():
        _note(state, "ram", 100 * used / total)
    for uuid, values in history.gpu_util.items():
        for value in values:
            _note(state, f"util {uuid}", value)


def measured(state: HostState, host: HostSnapshot) -> None:
    state.host = host
    state.heard_at = time.time()
    _note(state, "cpu", host.cpu_percent)
    _note(state, "ram", 100 * host.ram_used / host.ram_total if host.ram_total else None)
    for gpu in host.gpus:
        _note(state, f"util {gpu.uuid}", gpu.util)
    state.revision += 1


def _note(state: HostState, name: str, value: float | None) -> None:
    state.series.setdefault(name, deque(maxlen=HISTORY)).append(value)


def job_changed(state: HostState, job: Job) -> None:
    state.jobs[job.id] = job
    state.order = None
    state.revision += 1


def told(state: HostState, event: Event) -> None:
    """Apply one event; a job whose state changed is fetched by the feed."""
    if event.kind == "host.metrics":
        measured(state, HostSnapshot.model_validate(event.data))
        return
    state.heard_at = time.time()
    job = state.jobs.get(event.job or "")
    if event.kind == "job.progress" and job is not None:
        state.jobs[job.id] = job.model_copy(update=event.data)
        if str(event.data.get("state", job.state)) != str(job.state):
            state.order = None
        state.revision += 1
    elif event.kind == "job.state" and event.job:
        new, cause = str(event.data.get("new", "")), str(event.data.get("cause", ""))
        state.events.append(Told(event.ts, event.job, new, cause))
        state.revision += 1
