"""Verbs about the daemon of this machine: start, stop, status, run, logs."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import typer

from sttui.cli import narrate, output
from sttui.cli.connect import client
from sttui.cli.failure import CliError
from sttui.cli.verb import group, verb
from sttui.format import values
from sttui.format.columns import Column, attr, column

GROUP = group("Start, stop and inspect the daemon of this machine.")

START_TIMEOUT_S = 30.0
STOP_TIMEOUT_S = 20.0
POLL_S = 0.1

COLUMNS = (
    Column("running", attr("running"), text=lambda r: "yes" if r["running"] else "no"),
    column("address"),
    column("version"),
    column("api"),
    column("hostname"),
    column("user"),
    column("instance"),
    Column("started", attr("started_at"), text=lambda r: values.moment(r["started_at"])),
)


def log_path() -> Path:
    from trainer.runs.homes import data_home

    return data_home() / "logs" / "daemon.log"


def launch() -> None:
    """Start the daemon detached from this terminal and wait until it answers."""
    from stdaemon.client.errors import ClientError
    from trainer.findings import finding

    log = log_path()
    log.parent.mkdir(parents=True, exist_ok=True)
    start = log.stat().st_size if log.exists() else 0
    with log.open("ab") as file:
        child = subprocess.Popen(
            [sys.executable, "-m", "stdaemon"],
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
            start_new_session=True,
            cwd="/",
        )
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline:
        try:
            client().hello()
            return
        except ClientError:
            if child.poll() is not None:
                break
            time.sleep(POLL_S)
    said = log.read_bytes()[start:].decode(errors="replace").strip().splitlines()
    why = said[-1] if said else "it did not answer in time"
    raise CliError(
        narrate.UNREACHABLE,
        finding(
            "ENV117",
            "the daemon did not start",
            where=str(log),
            why=why,
            fix="see stune daemon logs",
        ),
    )


@verb(GROUP)
def start() -> None:
    """Start the daemon; one that already runs is fine."""
    if _hello() is not None:
        narrate.say("the daemon is already running")
    else:
        launch()
    _print_status()


@verb(GROUP)
def stop() -> None:
    """Stop the daemon; running jobs go on and are found again by the next one."""
    from stdaemon.client.errors import ClientError
    from trainer.findings import finding

    if _hello() is None:
        narrate.say("no daemon is running")
        _print_status()
        return
    client().shutdown()
    deadline = time.monotonic() + STOP_TIMEOUT_S
    while time.monotonic() < deadline:
        try:
            client().hello()
        except ClientError:
            _print_status()
            return
        time.sleep(POLL_S)
    raise CliError(
        narrate.UNREACHABLE,
        finding("ENV117", "the daemon is still running", fix="see stune daemon logs"),
    )


@verb(GROUP)
def status() -> None:
    """Say whether the daemon runs; exit code 3 when it does not."""
    if not _print_status():
        raise CliError(narrate.UNREACHABLE)


@verb(GROUP)
def run() -> None:
    """Run the daemon in this terminal until Ctrl-C."""
    os.execv(sys.executable, [sys.executable, "-m", "stdaemon"])


@verb(GROUP)
def logs(
    tail: int = typer.Option(200, "--tail", min=0, metavar="N", help="Only the last N lines."),
) -> None:
    """Print the log of the daemon of this machine."""
    path = log_path()
    lines = path.read_text(errors="replace").splitlines() if path.exists() else []
    if not path.exists():
        narrate.say(f"there is no log yet at {path}")
    shown = lines[-tail:] if tail else []
    output.text("daemon-log/1", "\n".join(shown), {"path": str(path), "lines": shown})


def _hello():
    from stdaemon.client.errors import Unreachable

    try:
        return client().hello()
    except Unreachable:
        return None


def _print_status() -> bool:
    hello = _hello()
    facts = hello.model_dump(mode="json") if hello else {}
    facts |= {"running": hello is not None, "address": client().address}
    shown = [c for c in COLUMNS if hello is not None or c.name in ("running", "address")]
    output.record("daemon/1", facts, shown, id="instance")
    return hello is not None
