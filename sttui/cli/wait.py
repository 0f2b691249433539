"""The verb `wait`: until jobs end, reach a state or a step, or a number falls below a limit.

The exit code is the answer: 0 when the condition came true, otherwise how the job ended (5
resumable, 6 failed), or 1 when it can no longer come true or time ran out.
"""

from __future__ import annotations

import operator
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import typer

from sttui.cli import narrate, output
from sttui.cli.connect import client, patient
from sttui.cli.failure import CliError, usage
from sttui.cli.options import IDS_FROM, JOBS, WHERE
from sttui.cli.select import select_ids
from sttui.cli.values import parse_duration
from sttui.cli.verb import group, verb
from sttui.format.jobs import JOB_COLUMNS, state_text
from sttui.format.states import STATES, is_terminal

if TYPE_CHECKING:
    from stdaemon.client.api import Client
    from stdaemon.wire.jobs import JobDetail

app = group("Wait.")

POLL_S = (0.1, 1.0)  # first and longest pause between two looks
SEVERITY = (narrate.OK, narrate.FINDINGS, narrate.INTERRUPTED, narrate.FAILED, narrate.REFUSED)
_SIGNS = {">=": operator.ge, "<=": operator.le, ">": operator.gt, "<": operator.lt}
_NUMBER = re.compile(r"^(step|[\w./-]+?)\s*(>=|<=|>|<)\s*([-+\d.eE]+)$")


@dataclass(frozen=True, slots=True)
class Condition:
    """What is waited for; `met` looks at a job and may ask the daemon for numbers."""

    text: str
    met: Callable[[Client, JobDetail], bool]


def parse_condition(text: str | None) -> Condition:
    """`STATE`, `step>=N` or `METRIC<X`; None means the end of the job."""
    if text is None:
        return Condition("its end", lambda daemon, job: str(job.state) == "succeeded")
    if text in STATES:
        return Condition(text, lambda daemon, job: str(job.state) == text)
    match = _NUMBER.match(text.replace(" ", ""))
    if match is None:
        fix = f"write a state ({', '.join(STATES)}), step>=N or loss<X"
        raise usage(f"--for {text!r} is not a condition", fix=fix)
    name, sign, limit = match[1], match[2], float(match[3])
    return Condition(text, lambda daemon, job: _holds(_value(daemon, job, name), sign, limit))


def _value(daemon: Client, job: JobDetail, name: str) -> float | None:
    if name == "step":
        return job.step
    if name == "loss" and job.loss is not None:
        return job.loss
    found = daemon.metrics(job.id, series=[name]).series.get(name)
    return found.values[-1] if found and found.values else None


def _holds(value: float | None, sign: str, limit: float) -> bool:
    if value is None:
        return False
    return {">=": value >= limit, "<=": value <= limit, ">": value > limit, "<": value < limit}[
        sign
    ]


@verb(app)
def wait(
    jobs: list[str] | None = JOBS,
    where: str | None = WHERE,
    ids_from: str | None = IDS_FROM,
    any_: bool = typer.Option(False, "--any", help="The first job that fulfils it is enough."),
    for_: str | None = typer.Option(
        None, "--for", metavar="TEST", help="STATE, step>=N or METRIC<X."
    ),
    timeout: str | None = typer.Option(
        None, "--timeout", metavar="TIME", help="Such as 90s or 2h."
    ),
) -> None:
    """Wait for jobs; the exit code tells how they ended."""
    condition = parse_condition(for_)
    try:
        limit_s = None if timeout is None else parse_duration(timeout)
    except ValueError as error:
        raise usage(str(error), where="--timeout") from None
    daemon = client()
    ids = select_ids(daemon, jobs or [], where=where, ids_from=ids_from)
    if not ids:
        narrate.say("no job matches")
        return
    states, codes = _wait(daemon, ids, condition, any_, limit_s)
    output.table("jobs/1", states, [c for c in JOB_COLUMNS if not c.wide])
    code = min(codes, key=SEVERITY.index) if any_ else max(codes, key=SEVERITY.index)
    if code:
        raise CliError(code)


def _wait(
    daemon: Client, ids: list[str], condition: Condition, any_: bool, limit_s: float | None
) -> tuple[list[Any], list[int]]:
    """Jobs as they were when decided, and their exit codes."""
    deadline = None if limit_s is None else time.monotonic() + limit_s
    watch = _Watch(daemon)
    decided: dict[str, tuple[Any, int]] = {}
    pause = POLL_S[0]
    while True:
        for id in ids:
            if id in decided:
                continue
            job = watch.look(id)
            code = _decide(daemon, job, condition)
            if code is not None:
                decided[id] = (job, code)
        enough = any(code == narrate.OK for _, code in decided.values()) if any_ else False
        if enough or len(decided) == len(ids):
            break
        if deadline is not None and time.monotonic() >= deadline:
            raise _timeout(condition, [id for id in ids if id not in decided])
        left = pause if deadline is None else min(pause, max(0.0, deadline - time.monotonic()))
        time.sleep(left)
        pause = min(POLL_S[1], pause * 1.5)
    return [job for job, _ in decided.values()], [code for _, code in decided.values()]


def _decide(daemon: Client, job: JobDetail, condition: Condition) -> int | None:
    """Exit code once the job's fate is known, else None."""
    if condition.met(daemon, job):
        return narrate.OK
    if not is_terminal(str(job.state)):
        return None
    return narrate.exit_of_job(str(job.state)) or narrate.FINDINGS


class _Watch:
    """Looks at jobs, waits out a dropped connection, and tells each change of state once."""

    def __init__(self, daemon: Client) -> None:
        self._daemon = daemon
        self._resume = patient()
        self._last: dict[str, str] = {}

    def look(self, id: str) -> JobDetail:
        from stdaemon.client.errors import Faulty, Unreachable

        while True:
            try:
                job = self._daemon.job(id)
            except (Unreachable, Faulty) as error:
                self._resume.dropped(error)
                continue
            self._resume.alive()
            state = str(job.state)
            if self._last.get(id) != state:
                self._last[id] = state
                narrate.say(f"{id} {job.name}: {state_text(job)}")
            return job


def _timeout(condition: Condition, ids: list[str]) -> CliError:
    from trainer.findings import finding

    return CliError(
        narrate.FINDINGS,
        finding(
            "ENV114",
            f"timeout: still waiting for {condition.text} of {', '.join(ids)}",
            where="--timeout",
            fix="wait longer, or see stune show",
            reason="timeout",
        ),
    )


def until_end(daemon: Client, id: str) -> JobDetail:
    """The job once nothing more will happen to it."""
    watch = _Watch(daemon)
    pause = POLL_S[0]
    while not is_terminal(str((job := watch.look(id)).state)):
        time.sleep(pause)
        pause = min(POLL_S[1], pause * 1.5)
    return job
