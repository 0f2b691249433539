"""A real daemon in a temporary home, with the scripted trainer unless told otherwise."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from stdaemon.client.api import Client
from stdaemon.client.errors import ClientError
from stdaemon.client.transport.unix import UnixConnector
from stdaemon.wire.jobs import Job, JobSubmit
from tests.support import scripted_trainer

QUICK = {
    "STUNE_DAEMON_TICK_S": "0.05",
    "STUNE_DAEMON_RETRY_BASE_S": "0.2",
    "STUNE_DAEMON_SPAWN_GRACE_S": "3",
    "STUNE_DAEMON_STOP_GRACE_S": "1",
    "STUNE_DAEMON_SAVING_GRACE_S": "2",
    "STUNE_DAEMON_TERM_GRACE_S": "1",
    "OMP_NUM_THREADS": "1",
}

JOB = """
preset = "demo/pretrain"
[train]
steps = {steps}
[schedule]
warmup = 0
"""


class Daemon:
    """Start it, kill it, start it again; jobs do not mind."""

    def __init__(self, home: Path, env: dict[str, str]) -> None:
        self.home = home
        trainer = f"{sys.executable} {scripted_trainer.__file__}"
        base = {"STUNE_DAEMON_TRAINER_COMMAND": trainer, "STUNE_HOME": str(home)}
        self.env = os.environ | QUICK | base | env
        self.process: subprocess.Popen[bytes] | None = None
        self.client = Client(UnixConnector(home / "run" / "api.sock"))

    def start(self) -> None:
        log = (self.home / "daemon.log").open("ab")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "stdaemon"], env=self.env, stdout=log, stderr=log
        )
        log.close()
        until(self._answers, 20)

    def _answers(self) -> bool:
        try:
            self.client.hello()
        except ClientError:
            return False
        return True

    def kill(self, number: signal.Signals = signal.SIGKILL) -> None:
        assert self.process is not None
        self.process.send_signal(number)
        self.process.wait(timeout=20)

    def submit(self, steps: int = 20, **fields) -> Job:
        return self.client.submit(JobSubmit(text=JOB.format(steps=steps), **fields))

    def wait_for(self, job: str, *states: str, timeout: float = 30) -> Job:
        """Wait until the job is in one of the states."""
        until(lambda: str(self.client.job(job).state) in states, timeout)
        return self.client.job(job)

    def trainer_pid(self, job: Job) -> int:
        from trainer.runs.files import read_json

        folder = Path(job.run_dir) / "attempts" / str(self.client.job(job.id).attempt)
        until(lambda: read_json(folder / "pid.json") is not None, 20)
        return read_json(folder / "pid.json")["trainer"]["pid"]


def until(condition: Callable[[], bool], timeout_s: float) -> None:
    """Wait for a condition; fail when it does not come true in time."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true in time"
        time.sleep(0.03)


@contextmanager
def running_daemon(**env: str) -> Iterator[Daemon]:
    """A daemon that leaves no process behind."""
    with tempfile.TemporaryDirectory(prefix="stune-") as name:
        daemon = Daemon(Path(name), env)
        daemon.start()
        try:
            yield daemon
        finally:
            _end_everything(daemon)


def _end_everything(daemon: Daemon) -> None:
    """Kill every process that lives in the home: found by its environment, never by a number."""
    daemon.client.close()
    if daemon.process is not None and daemon.process.poll() is None:
        daemon.kill()
    until(lambda: not _kill_inhabitants(daemon.home), 20)


def _kill_inhabitants(home: Path) -> list[int]:
    found = []
    for process in psutil.process_iter():
        try:
            lives = process.status() != psutil.STATUS_ZOMBIE
            if lives and process.environ().get("STUNE_HOME") == str(home):
                process.kill()
                found.append(process.pid)
        except (psutil.Error, OSError):
            continue
    return found
