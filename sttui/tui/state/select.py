"""Questions the screens ask of the state."""

from __future__ import annotations

from stdaemon.wire.jobs import Job
from sttui.format.states import is_terminal
from sttui.tui.state.store import HostState

ORDER = ("running", "stopping", "starting", "lost", "queued", "held", "paused")


def ordered(state: HostState) -> list[Job]:
    """Live jobs first by state, then finished ones, newest first."""

    def rank(job: Job) -> tuple[int, int]:
        name = str(job.state)
        return (ORDER.index(name) if name in ORDER else len(ORDER), -job.number)

    return sorted(state.jobs.values(), key=rank)


def running(state: HostState) -> list[Job]:
    return [j for j in ordered(state) if str(j.state) in ("running", "stopping", "starting")]


def waiting(state: HostState) -> list[Job]:
    jobs = [j for j in state.jobs.values() if str(j.state) in ("queued", "held")]
    return sorted(jobs, key=lambda j: (-j.priority, j.number))


def matching(jobs: list[Job], text: str) -> list[Job]:
    """Free filter: every word must occur; `key:value` looks at one field, `!` inverts."""
    for word in text.split():
        inverted = word.startswith("!")
        key, colon, value = word.lstrip("!").partition(":")

        def hit(job: Job, key: str = key, colon: str = colon, value: str = value) -> bool:
            if colon:
                return value.lower() in str(getattr(job, key, "")).lower()
            where = f"{job.id} {job.name} {job.state} {job.family} {' '.join(job.tags)}"
            return key.lower() in where.lower()

        jobs = [j for j in jobs if hit(j) != inverted]
    return jobs


def counters(state: HostState) -> str:
    run, wait = len(running(state)), len(waiting(state))
    done = sum(is_terminal(str(j.state)) for j in state.jobs.values())
    return f"{run} running · {wait} queued · {done} ended"
