"""Verbs that follow a job: logs and events; and `attach`, which `run` uses.

Following survives a dropped connection: streams resume by offset and sequence number. Ctrl-C ends
the following and never the job.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import typer

from sttui.cli import complete, narrate, output
from sttui.cli.connect import client, patient
from sttui.cli.invocation import current
from sttui.cli.options import JOB
from sttui.cli.select import select_one
from sttui.cli.verb import group, verb
from sttui.format.progress import event_line
from sttui.format.values import clock

if TYPE_CHECKING:
    from stdaemon.client.api import Client
    from stdaemon.wire.jobs import JobDetail
    from stdaemon.wire.logs import LogChunk

app = group("Follow jobs.")
PAGE_BYTES = 1 << 20


@verb(app)
def logs(
    job: str = JOB,
    follow: bool = typer.Option(False, "--follow", "-f", help="Go on until the job ends."),
    tail: int | None = typer.Option(
        None, "--tail", min=0, metavar="N", help="Only the last N lines."
    ),
) -> None:
    """Print the log of a job."""
    daemon = client()
    id = select_one(daemon, job)
    offset = 0
    if tail is not None:
        chunk = daemon.logs(id, tail=tail)
        _print_chunk(chunk)
        offset = chunk.next_offset
    if follow:
        from stdaemon.client.stream import follow_log

        for chunk in follow_log(daemon, id, offset=offset, resume=patient()):
            _print_chunk(chunk)
    elif tail is None:
        for chunk in _pages(daemon, id):
            _print_chunk(chunk)


def _pages(daemon: Client, id: str) -> Iterator[LogChunk]:
    """The log as it is now, piece by piece."""
    offset, end = 0, None
    while end is None or offset < end:
        chunk = daemon.logs(id, offset=offset, limit=PAGE_BYTES)
        end = chunk.size if end is None else end
        yield chunk
        if chunk.next_offset <= offset:
            return
        offset = chunk.next_offset


def _print_chunk(chunk: LogChunk) -> None:
    if current.machine:
        output.stream(chunk, lambda c: c.text)
    else:
        output.raw(chunk.text)


@verb(app)
def events(
    job: str | None = typer.Argument(
        None, metavar="JOB", autocompletion=complete.jobs, help="A job; without one, the daemon."
    ),
    follow: bool = typer.Option(False, "--follow", "-f", help="Go on as events come."),
    since: int = typer.Option(0, "--since", min=0, metavar="SEQ", help="Only after this number."),
) -> None:
    """Print events of a job, or of the daemon."""
    from stdaemon.client import stream

    daemon = client()
    if job is None:
        source = (
            stream.follow_events(daemon, after=since, resume=patient())
            if follow
            else _all_events(daemon, since)
        )
        for event in source:
            output.stream(event, _daemon_line)
        return
    id = select_one(daemon, job)
    if follow:
        records = stream.follow_job_events(daemon, id, after=since, resume=patient())
    else:
        records = _all_job_events(daemon, id, since)
    for record in records:
        output.stream(record, _run_line)


def _all_events(daemon: Client, after: int) -> Iterator[Any]:
    from stdaemon.wire.events import Event

    while page := daemon.events(after=after, limit=1000).events:
        for record in page:
            yield Event.model_validate(record)
        after = page[-1]["seq"]


def _all_job_events(daemon: Client, id: str, after: int) -> Iterator[dict[str, Any]]:
    while page := daemon.job_events(id, after=after, limit=1000).events:
        yield from page
        after = page[-1]["seq"]


def _run_line(record: dict[str, Any]) -> str:
    text = event_line(record) or ""
    return f"{record['seq']:>6}  {clock(record['ts'])}  {record['kind']:<16}  {text}".rstrip()


def _daemon_line(event: Any) -> str:
    data = event.data or {}
    facts = "  ".join(f"{k}={v}" for k, v in data.items() if not isinstance(v, dict | list))
    head = f"{event.seq or '':>6}  {clock(event.ts)}  {event.kind:<14}  {event.job or '':<8}"
    return f"{head}  {facts}".rstrip()


def attach(daemon: Client, id: str) -> JobDetail:
    """Show the progress of a job on stderr until it ends or rests; returns the job then."""
    from stdaemon.client.stream import follow_job_events
    from sttui.cli.foreground import PLAIN_EVERY_S, Throttle, show_event
    from sttui.cli.wait import until_end

    throttle = Throttle(0.0 if narrate.is_terminal() else PLAIN_EVERY_S)
    for record in follow_job_events(daemon, id, resume=patient()):
        show_event(record, throttle, narrate.progress)
    return until_end(daemon, id)
