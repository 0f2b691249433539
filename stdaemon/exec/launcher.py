"""The small process between daemon and trainer: `python -m stdaemon.exec.launcher …`.

It lives in a session of its own, so the daemon may stop, crash or be upgraded without touching
the trainer. It records who runs (`pid.json`) and how it ended (`exit.json`), and nothing else;
output goes straight to the run's log. One launcher holds a run directory at a time.
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

from trainer.runs.files import write_json
from trainer.runs.heartbeat import process_identity
from trainer.runs.layout import RunDir

LOCK_NAME = ".launcher.lock"
REVOKED = "revoked"


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
    """Run the trainer to its end; returns its exit code."""
    folder = run.attempt(attempt)
    folder.mkdir(parents=True, exist_ok=True)
    lock = os.open(run.path / LOCK_NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    fcntl.flock(lock, fcntl.LOCK_EX)  # an earlier attempt that is still ending finishes first
    if (folder / REVOKED).exists():
        return 0  # the daemon gave up on this start and has made another
    started = time.time()
    log = os.open(run.log, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
    os.write(log, f"--- attempt {attempt} ---\n".encode())
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # stopping is the trainer's own business
    child = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        start_new_session=True,
        restore_signals=True,
        preexec_fn=_default_signals,
    )
    record = {
        "launcher": process_identity(os.getpid()),
        "trainer": process_identity(child.pid),
        "lease": lease,
        "attempt": attempt,
        "started": started,
    }
    write_json(folder / "pid.json", record)
    code = child.wait()
    end = {
        "code": code if code >= 0 else None,
        "signal": -code if code < 0 else None,
        "started": started,
        "ended": time.time(),
    }
    write_json(folder / "exit.json", end)
    return 0


def _default_signals() -> None:
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


if __name__ == "__main__":
    sys.exit(main())
