"""Questions the screens ask of the state."""

from __future__ import annotations

from collections.abc import Iterable

from stdaemon.wire.jobs import Job
from sttui.format import values
from sttui.tui.state.store import QUIET_S, HostState

ORDER = ("running", "stopping", "starting", "lost", "queued", "held", "paused")
RUNNING = ("running", "stopping", "starting")
WAITING = ("queued", "held")


def ordered(state: HostState) -> list[Job]:
    """Live jobs first by state, then finished ones, newest first."""

    def rank(job: Job) -> tuple[int, int]:
        name = str(job.state)
        return (ORDER.index(name) if name in ORDER else len(ORDER), -job.number)

    if state.order is None:
        state.order = [job.id for job in sorted(state.jobs.values(), key=rank)]
    return [state.jobs[id] for id in state.order]


def running(state: HostState) -> list[Job]:
    """Newest first."""
    jobs = [j for j in state.jobs.values() if str(j.state) in RUNNING]
    return sorted(jobs, key=lambda j: -j.number)


def waiting(state: HostState) -> list[Job]:
    """In the order in which they will start."""
    jobs = [j for j in state.jobs.values() if str(j.state) in WAITING]
    return sorted(jobs, key=lambda j: (-j.priority, j.number))


def matching(jobs: Iterable[Job], text: str) -> list[Job]:
    """Free filter: every word must occur; `key:value` looks at one field, `!` inverts."""
    found = list(jobs)
    for word in text.lower().split():
        inverted, word = word.startswith("!"), word.removeprefix("!")
        if word:
            found = [job for job in found if _hit(job, word) != inverted]
    return found


def _hit(job: Job, word: str) -> bool:
    key, colon, value = word.partition(":")
    if colon and key in Job.model_fields:
        return value in str(getattr(job, key)).lower()
    return word in f"{job.id} {job.name} {job.state} {job.family} {' '.join(job.tags)}".lower()


def counters(state: HostState) -> list[str]:
    """`2 running`, `3 queued`, `2/4 GPUs busy`; the most important first."""
    parts = [f"{len(running(state))} running", f"{len(waiting(state))} queued"]
    if state.host and state.host.gpus:
        busy = sum(gpu.job is not None for gpu in state.host.gpus)
        parts.append(f"{busy}/{len(state.host.gpus)} GPUs busy")
    return parts


def connection_text(state: HostState, now: float) -> str:
    """`offline 0:07, retry in 4 s`; empty while all is well."""
    if state.connection == "connecting":
        return "connecting …"
    if state.online:
        quiet = state.quiet_s(now)
        return f"no news for {_clock(quiet)}" if quiet > QUIET_S else ""
    text = f"{state.connection} {_clock(now - state.since)}"
    if state.retry_at is None:
        return f"{text}, ctrl+r tries again"
    return f"{text}, retry in {max(0, round(state.retry_at - now))} s"


def _clock(seconds: float) -> str:
    minutes, s = divmod(int(max(0, seconds)), 60)
    hours, m = divmod(minutes, 60)
    return f"{hours}:{m:02d}:{s:02d}" if hours else f"{m}:{s:02d}"


def devices(state: HostState, job: Job) -> str:
    """`GPU 0,1` where the host has told its GPUs, else the names as they are."""
    places = {gpu.uuid: str(gpu.index) for gpu in (state.host.gpus if state.host else ())}
    if job.devices and all(device in places for device in job.devices):
        return "GPU " + ",".join(sorted(places[device] for device in job.devices))
    return ",".join(device.removesuffix(":0") for device in job.devices) or values.UNKNOWN


def note(job: Job) -> str:
    """Why a job waits, or why it ended as it did."""
    if str(job.state) in WAITING:
        return job.blocked_by or ", ".join(job.hold_reasons)
    return job.reason or ""
