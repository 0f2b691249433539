"""Verbs that queue a job: submit and run."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from sttui.cli import narrate, output
from sttui.cli.connect import client, started_client
from sttui.cli.failure import CliError, usage
from sttui.cli.options import FILE, FORMAT, PRESET, SET
from sttui.cli.source import JobSource, read_source
from sttui.cli.verb import group, verb
from sttui.format.jobs import JOB_COLUMNS

if TYPE_CHECKING:
    from stdaemon.wire.jobs import Job

app = group("Queue jobs.")

NAME = typer.Option(None, "--name", metavar="TEXT", help="Name of the job.")
ONCE = typer.Option(
    None,
    "--once",
    "--request-id",
    metavar="KEY",
    help="Submit at most once per KEY; again returns the same job.",
)
REHEARSE = typer.Option(
    False, "--rehearse", help="Rehearse the job on this machine first; queue it when that passes."
)
DRY = typer.Option(False, "--dry-run", help="Check everything and say what would be queued.")


@verb(app)
def submit(
    file: str | None = FILE,
    preset: str | None = PRESET,
    set_: list[str] = SET,
    format: str | None = FORMAT,
    name: str | None = NAME,
    once: str | None = ONCE,
    hold: bool = typer.Option(False, "--hold", help="Do not start it until released."),
    wait: bool = typer.Option(
        False, "--wait", help="Wait for its end; the exit code tells how it ended."
    ),
    rehearse: bool = REHEARSE,
    dry_run: bool = DRY,
) -> None:
    """Queue a job.

    Starts the daemon of this machine when none runs. Prints the job; `-o id` prints only its id.
    """
    if dry_run:
        if rehearse:
            raise usage("--rehearse has no effect with --dry-run", fix="stune rehearse FILE")
        _dry_run(file, preset, set_, format, name)
        return
    job = _submit(read_source(file, preset, format), set_, name, once, hold, rehearse)
    if not wait:
        _print(job)
        return
    from sttui.cli.wait import until_end

    narrate.say(f"{job.id} {job.name}: {job.state}")
    ended = until_end(client(), job.id)
    _print(ended)
    _exit_as(ended)


@verb(app)
def run(
    file: str | None = FILE,
    preset: str | None = PRESET,
    set_: list[str] = SET,
    format: str | None = FORMAT,
    name: str | None = NAME,
    once: str | None = ONCE,
    rehearse: bool = REHEARSE,
) -> None:
    """Queue a job and follow it until it ends.

    Ctrl-C detaches and leaves the job running; the exit code tells how the job ended.
    """
    from sttui.cli.follow import attach

    job = _submit(read_source(file, preset, format), set_, name, once, False, rehearse)
    narrate.say(f"{job.id} {job.name}: {job.state}")
    try:
        ended = attach(client(), job.id)
    except KeyboardInterrupt:
        narrate.say(f"detached; the job goes on. Follow it: stune logs -f {job.id}")
        _print(client().job(job.id))
        raise CliError(narrate.INTERRUPTED) from None
    _print(ended)
    _exit_as(ended)


def _submit(
    source: JobSource,
    set_: list[str],
    name: str | None,
    once: str | None,
    hold: bool,
    rehearse: bool,
) -> Job:
    from pydantic import ValidationError

    from stdaemon.wire.jobs import JobSubmit

    if rehearse:
        _gate(source, set_)
    try:
        request = JobSubmit(
            text=source.text,
            format=source.format,
            base_dir=str(source.base_dir),
            overrides=set_,
            name=name,
            request_id=once,
            hold=hold,
        )
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise usage(first["msg"], where=".".join(map(str, first["loc"]))) from None
    return started_client().submit(request)


def _gate(source: JobSource, set_: list[str]) -> None:
    """Rehearse here; CliError with what was found unless it passes."""
    from sttui.cli import rehearse
    from trainer.findings import at_or_above

    _demand_local()
    narrate.say("rehearsing before the job is queued")
    found = rehearse.rehearsal(source, set_)
    rehearse.tell(found)
    if not rehearse.passed(found):
        raise CliError(narrate.FINDINGS, *at_or_above(list(found.findings), "error"))
    narrate.report(found.findings)


def _demand_local() -> None:
    """A rehearsal tries this machine; for a job that runs elsewhere it would prove nothing."""
    from stdaemon.client.transport.unix import UnixConnector
    from trainer.findings import finding

    if isinstance(client().connector, UnixConnector):
        return
    raise CliError(
        narrate.REFUSED,
        finding(
            "RUN034",
            "--rehearse tries the job on this machine, and the job is to run on another one",
            where="--rehearse",
            why="its disks, its data and its GPU are not those of this machine",
            fix="leave it out, or run stune rehearse on that host",
        ),
    )


def _dry_run(
    file: str | None, preset: str | None, set_: list[str], format: str | None, name: str | None
) -> None:
    """Check the job here and print what would be queued."""
    from sttui.cli.config import resolved
    from trainer.findings import at_or_above

    result = resolved(file, preset, set_, [], format)
    errors = at_or_above(result.findings, "error")
    if errors or result.config is None:
        raise CliError(narrate.FINDINGS, *(errors or result.findings))
    narrate.report(result.findings)
    config = result.config
    facts = {
        "name": name or config.job.name,
        "family": config.model.family,
        "mode": config.model.mode,
        "steps": config.train.steps,
        "epochs": config.train.epochs,
        "dry_run": True,
    }
    from sttui.format.columns import column

    shown = [column(key) for key, value in facts.items() if value is not None and key != "dry_run"]
    output.record("submit-plan/1", facts, shown, id="name", findings=result.findings)
    narrate.say("nothing was queued (--dry-run)")


def _print(job: Job) -> None:
    output.record("job/1", job, [c for c in JOB_COLUMNS if not c.wide])


def _exit_as(job: Job) -> None:
    code = narrate.exit_of_job(str(job.state))
    if code:
        raise CliError(code)
