"""Start the daemon of this machine, detached from the terminal, and wait until it answers."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from stdaemon.client.errors import ClientError, Unreachable
from trainer.findings import finding
from trainer.runs.homes import data_home

START_TIMEOUT_S = 30.0
POLL_S = 0.1


def log_path() -> Path:
    return data_home() / "logs" / "daemon.log"


def launch(hello: Callable[[], object]) -> None:
    """Returns when `hello()` succeeds; raises Unreachable with the daemon's last words."""
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
            hello()
            return
        except ClientError:
            if child.poll() is not None:
                break
            time.sleep(POLL_S)
    said = log.read_bytes()[start:].decode(errors="replace").strip().splitlines()
    raise Unreachable(
        finding(
            "ENV117",
            "the daemon did not start",
            where=str(log),
            why=said[-1] if said else "it did not answer in time",
            fix="see stune daemon logs",
        )
    )
