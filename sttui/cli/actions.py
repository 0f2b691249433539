"""Verbs that steer jobs: stop, cancel, pause, resume, rerun, release, checkpoint.

One client call each, so all but `cancel` are made from one function. Repeating a command on a job
that already is where it should be is success.
"""

from __future__ import annotations

import typer

from sttui.cli import narrate, output
from sttui.cli.connect import client
from sttui.cli.options import IDS_FROM, JOBS, WHERE
from sttui.cli.select import select_ids
from sttui.cli.verb import group, verb
from sttui.format.jobs import JOB_COLUMNS

app = group("Steer jobs.")

DRY = typer.Option(False, "--dry-run", help="Say which jobs are meant, do nothing.")
REASON = typer.Option(None, "--reason", metavar="TEXT", help="Kept in the history of the job.")
REQUEST = typer.Option(
    None, "--request-id", metavar="KEY", help="A repeated KEY has no second effect."
)

Jobs = list[str] | None


def _act(
    action: str, ids: list[str], *, dry_run: bool, reason: str | None, request_id: str | None
) -> None:
    if not ids:
        narrate.say("no job matches")
    done = []
    for number, id in enumerate(ids):
        if dry_run:
            done.append(client().job(id))
            continue
        key = f"{request_id}-{number}" if request_id and len(ids) > 1 else request_id
        done.append(client().act(id, action, reason=reason, request_id=key))
    output.table("jobs/1", done, [c for c in JOB_COLUMNS if not c.wide])
    if dry_run:
        narrate.say(f"would {action} {len(done)} job{'s' if len(done) != 1 else ''} (--dry-run)")


def _steering(action: str, help: str) -> None:
    """Declare the verb of an action that needs no confirmation."""

    def steer(
        jobs: Jobs = JOBS,
        where: str | None = WHERE,
        ids_from: str | None = IDS_FROM,
        dry_run: bool = DRY,
        reason: str | None = REASON,
        request_id: str | None = REQUEST,
    ) -> None:
        ids = select_ids(client(), jobs or [], where=where, ids_from=ids_from)
        _act(action, ids, dry_run=dry_run, reason=reason, request_id=request_id)

    steer.__doc__ = help
    verb(app, action)(steer)


_steering("stop", "Stop jobs with a checkpoint; they can be resumed.")
_steering("pause", "Checkpoint jobs and free their devices until resumed.")
_steering("resume", "Continue paused, stopped or failed jobs.")
_steering("rerun", "Queue new jobs with the same configuration.")
_steering("release", "Let held jobs start.")
_steering("checkpoint", "Have running jobs write a checkpoint now.")


@verb(app)
def cancel(
    jobs: Jobs = JOBS,
    where: str | None = WHERE,
    ids_from: str | None = IDS_FROM,
    dry_run: bool = DRY,
    reason: str | None = REASON,
    request_id: str | None = REQUEST,
    yes: bool = typer.Option(False, "--yes", help="Do not ask."),
) -> None:
    """End jobs for good."""
    ids = select_ids(client(), jobs or [], where=where, ids_from=ids_from)
    question = f"cancel {', '.join(ids)}?"
    if ids and not (yes or dry_run) and not narrate.confirm(question):
        narrate.say("nothing was cancelled")
        return
    _act("cancel", ids, dry_run=dry_run, reason=reason, request_id=request_id)
