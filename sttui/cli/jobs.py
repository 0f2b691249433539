"""Verbs that show jobs: jobs and show."""

from __future__ import annotations

import typer

from sttui.cli import narrate, output
from sttui.cli.connect import client
from sttui.cli.failure import usage
from sttui.cli.options import JOB, WHERE
from sttui.cli.select import parse_where, select_one
from sttui.cli.verb import group, verb
from sttui.format.jobs import DETAIL_COLUMNS, JOB_COLUMNS
from sttui.format.states import STATES

app = group("Jobs.")
WATCH_S = 2.0


def _states(incomplete: str) -> list[str]:
    return [s for s in STATES if s.startswith(incomplete)]


@verb(app)
def jobs(
    state: list[str] = typer.Option(
        [], "--state", autocompletion=_states, help="Only these states; repeatable."
    ),
    where: str | None = WHERE,
    limit: int = typer.Option(50, "--limit", "-n", min=1, help="At most so many, newest first."),
    all_: bool = typer.Option(False, "--all", "-a", help="All of them."),
    watch: bool = typer.Option(False, "--watch", "-w", help="Show the list again and again."),
) -> None:
    """List jobs."""
    for name in state:
        if name not in STATES:
            raise usage(f"{name!r} is not a job state", fix=f"states: {', '.join(STATES)}")
    matches = parse_where(where) if where else None

    def show() -> None:
        found = client().all_jobs(state=state or None)
        chosen = []
        for job in found:
            if matches is None or matches(job):
                chosen.append(job)
            if not all_ and len(chosen) >= limit:
                break
        output.table("jobs/1", chosen, JOB_COLUMNS)
        if not chosen and output.for_people():
            narrate.say("no jobs" if not (state or where) else "no job matches", "dim")

    output.repeated(show, WATCH_S if watch else None)


@verb(app)
def show(job: str = JOB) -> None:
    """Show one job with its attempts and findings."""
    detail = client().job(select_one(client(), job))
    output.record("job/1", detail, DETAIL_COLUMNS, findings=detail.findings)
    if output.for_people():
        narrate.report(detail.findings)
