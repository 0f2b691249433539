"""The local executor: start a launcher, look at what its files and the process table say.

Nothing here depends on being the parent of the trainer: a restarted daemon sees the same facts.
A process is only ever signalled after its identity was checked: process id with start time and
boot id for the trainer, the lease in the environment for everything else.
"""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from typing import Any

import psutil

from stdaemon.exec.base import Observation, Ticket
from stdaemon.exec.launcher import LOCK_NAME, REVOKED, ours
from stdaemon.jobs.outcomes import Exit
from trainer.runs.exitrecord import read_exit
from trainer.runs.files import read_json, write_atomic
from trainer.runs.heartbeat import boot_id, same_process

LEASE = "STUNE_LEASE"
WIDOWED_S = 3.0
COLLECT_S = 0.5


class LocalExecutor:
    """Starts and observes trainers on this machine."""

    def __init__(self, command: Sequence[str]) -> None:
        self.command = list(command)
        self._children: list[subprocess.Popen[bytes]] = []
        self._widowed: dict[str, float] = {}

    def start(self, ticket: Ticket) -> None:
        run, number = ticket.run, ["--attempt", str(ticket.attempt)]
        launcher = [sys.executable, "-m", "stdaemon.exec.launcher", "--run", str(run.path)]
        trainer = [*self.command, "train", str(run.effective), "--run-dir", str(run.path)]
        with run.log.open("ab") as log:
            child = subprocess.Popen(
                [*launcher, *number, "--lease", ticket.lease, "--", *trainer, *number],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                env=os.environ | visible_devices(ticket.devices) | {LEASE: ticket.lease},
            )
        self._children.append(child)

    def reap(self) -> None:
        """Collect launchers that ended, so that they do not stay in the process table."""
        self._children = [child for child in self._children if child.poll() is None]

    def observe(self, ticket: Ticket) -> Observation:
        ended = ours(read_json(ticket.folder / "exit.json"), ticket.lease)
        if ended is not None:
            return Observation(end=_exit(ticket, ended))
        pids = ours(read_json(ticket.folder / "pid.json"), ticket.lease)
        if pids is None:
            return Observation(pending=True)
        if same_process(pids["trainer"]):
            return Observation(trainer=pids["trainer"])
        if same_process(pids["launcher"]) and not self._waited_for_launcher(ticket):
            return Observation(trainer=pids["trainer"])  # it is about to write the end
        ended = ours(read_json(ticket.folder / "exit.json"), ticket.lease)
        return Observation(end=_exit(ticket, ended) if ended else _vanished(ticket, pids))

    def _waited_for_launcher(self, ticket: Ticket) -> bool:
        """A launcher that outlives its trainer for long is frozen and will tell nothing."""
        since = self._widowed.setdefault(ticket.lease, time.monotonic())
        return time.monotonic() - since > WIDOWED_S

    def signal(self, ticket: Ticket, trainer: dict[str, Any], number: signal.Signals) -> bool:
        if not same_process(trainer):
            return False
        try:
            os.killpg(trainer["pid"], number)
            if number is signal.SIGTERM:
                os.killpg(trainer["pid"], signal.SIGCONT)  # a stopped process cannot hear
        except ProcessLookupError:
            return False
        return True

    def revoke(self, ticket: Ticket) -> bool:
        """Under the launcher's own lock, so that a late launcher surely reads the mark."""
        ticket.folder.mkdir(parents=True, exist_ok=True)
        lock = os.open(ticket.run.path / LOCK_NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if ours(read_json(ticket.folder / "pid.json"), ticket.lease):
                return False
            write_atomic(ticket.folder / REVOKED, ticket.lease.encode())
        except BlockingIOError:
            return False
        finally:
            os.close(lock)
        return True

    def collect(self, ticket: Ticket) -> bool:
        """Kill what carries the lease in its environment: workers that outlived the trainer."""
        left = list(holders(ticket.lease))
        for process in left:
            try:
                process.kill()
            except psutil.Error:
                continue
        deadline = time.monotonic() + COLLECT_S
        while left := [process for process in left if _lives(process)]:
            if time.monotonic() > deadline:
                return False
            time.sleep(0.01)
        self._widowed.pop(ticket.lease, None)
        return True


def visible_devices(devices: Sequence[str]) -> dict[str, str]:
    """Environment that shows the trainer exactly its devices."""
    gpus = [d for d in devices if not d.startswith("cpu:")]
    return {"CUDA_VISIBLE_DEVICES": ",".join(gpus)}


def lease_of(pid: int) -> str | None:
    """The lease under which a process was started; None for a stranger, or one we may not see."""
    try:
        return psutil.Process(pid).environ().get(LEASE)
    except (psutil.Error, OSError):
        return None


def is_foreign(pid: int) -> bool:
    """Whether the process lives and was not started by a daemon of this user."""
    return psutil.pid_exists(pid) and lease_of(pid) is None


def holders(lease: str) -> Iterator[psutil.Process]:
    """Live processes of this user that were started under the lease."""
    for process in psutil.process_iter():
        try:
            mine = process.pid != os.getpid() and process.environ().get(LEASE) == lease
        except (psutil.Error, OSError):
            continue  # gone meanwhile, or another user's
        if mine and _lives(process):
            yield process


def _lives(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def _exit(ticket: Ticket, ended: dict[str, Any]) -> Exit:
    if ended["signal"] is not None:
        return Exit(None, ended["signal"], "killed_signal")
    record = read_exit(ticket.run.exit)
    reason = record.reason if record is not None and record.attempt == ticket.attempt else None
    return Exit(ended["code"], None, reason)


def _vanished(ticket: Ticket, pids: dict[str, Any]) -> Exit:
    """Launcher and trainer are gone without a word: the trainer may have left its own."""
    record = read_exit(ticket.run.exit)
    if record is not None and record.attempt == ticket.attempt:
        return Exit(record.code, None, record.reason)
    same_boot = pids["trainer"].get("boot_id", "") == boot_id()
    return Exit(None, None, "killed_signal" if same_boot else "node_lost")
