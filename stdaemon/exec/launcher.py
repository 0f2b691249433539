"""The small process between daemon and trainer: `python -m stdaemon.exec.launcher …`.

It lives in a session of its own, so the daemon may stop, crash or be upgraded without touching
the trainer. It records who runs (`pid.json`) and how it ended (`exit.json`), and nothing else;
output goes straight to the run's log. One launcher holds a run directory at a time, and a start
that is delivered twice, or was withdrawn meanwhile, ends here without effect.
"""

from __future__ import annotations

import argparse
import fcntl
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from trainer.runs.files import read_json, write_json
from trainer.runs.heartbeat import process_identity
from trainer.runs.layout import RunDir

LOCK_NAME = ".launcher.lock"
REVOKED = "revoked"
CANNOT_START = 127


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="stdaemon.exec.launcher")
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--attempt", type=int, required=True)
    parser.add_argument("--lease", required=True)
    parser.add_argument("command", nargs=argparse.REMAINDER)
    args = parser.parse_args(argv)
    command = args.command[1:] if args.command[:1] == ["--"] else args.command
    return launch(RunDir(args.run), args.attempt, args.lease, command)


def launch(run: RunDir, attempt: int, lease: str, command: list[str]) -> int:
    """Run the trainer to its end and record both; returns 0 whatever became of it."""
    folder = run.attempt(attempt)
    folder.mkdir(parents=True, exist_ok=True)
    if ours(read_json(folder / "pid.json"), lease):
        return 0  # delivered twice
    lock = os.open(run.path / LOCK_NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    fcntl.flock(lock, fcntl.LOCK_EX)  # an earlier attempt that is still ending finishes first
    if withdrawn(folder, lease) or ours(read_json(folder / "pid.json"), lease):
        return 0
    (folder / "exit.json").unlink(missing_ok=True)  # of an attempt that a lost store forgot
    started = time.time()
    log = os.open(run.log, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
    os.write(log, f"--- attempt {attempt} ---\n".encode())
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # stopping is the trainer's own business
    record = {
        "launcher": process_identity(os.getpid()),
        "lease": lease,
        "attempt": attempt,
        "started": started,
    }

    def introduce() -> None:
        """In the trainer-to-be: no trainer ever runs that `pid.json` does not name."""
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, signal.SIG_DFL)
        write_json(folder / "pid.json", record | {"trainer": process_identity(os.getpid())})

    try:
        child = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            preexec_fn=introduce,
        )
        code = child.wait()
    except OSError as error:
        os.write(log, f"the trainer cannot be started: {error}\n".encode())
        code = CANNOT_START
    end = {
        "code": code if code >= 0 else None,
        "signal": -code if code < 0 else None,
        "lease": lease,
        "started": started,
        "ended": time.time(),
    }
    write_json(folder / "exit.json", end)
    return 0


def ours(record: dict[str, Any] | None, lease: str) -> dict[str, Any] | None:
    """The record if it speaks of this lease."""
    return record if record is not None and record.get("lease") == lease else None


def withdrawn(folder: Path, lease: str) -> bool:
    """Whether the daemon gave up on this start; meaningful only while the lock is held."""
    try:
        return (folder / REVOKED).read_text() == lease
    except FileNotFoundError:
        return False


if __name__ == "__main__":
    sys.exit(main())
