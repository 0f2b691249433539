"""The local executor: start a launcher, look at what its files and the process table say.

Nothing here depends on being the parent of the trainer: a restarted daemon sees the same facts.
"""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from stdaemon.exec.launcher import LOCK_NAME, REVOKED
from stdaemon.jobs.outcomes import Exit
from trainer.runs.exitrecord import read_exit
from trainer.runs.files import read_json
from trainer.runs.heartbeat import boot_id, same_process
from trainer.runs.layout import RunDir


@dataclass(frozen=True, slots=True)
class Observation:
    """What is known of an attempt: alive, or ended, or never seen (`pending`)."""

    alive: bool
    pending: bool
    trainer: dict[str, Any] | None
    end: Exit | None


class LocalExecutor:
    """Starts and observes trainers on this machine."""

    def __init__(self, command: Sequence[str]) -> None:
        self.command = list(command)
        self._children: list[subprocess.Popen[bytes]] = []

    def start(self, run: RunDir, attempt: int, lease: str, devices: Sequence[str]) -> None:
        """Start the launcher of an attempt; returns at once."""
        launcher = [sys.executable, "-m", "stdaemon.exec.launcher"]
        number = ["--attempt", str(attempt)]
        trainer = [*self.command, "train", str(run.effective), "--run-dir", str(run.path)]
        child = subprocess.Popen(
            [*launcher, "--run", str(run.path), *number, "--lease", lease, "--", *trainer, *number],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            env=os.environ | visible_devices(devices) | {"STUNE_LEASE": lease},
        )
        self._children.append(child)

    def reap(self) -> None:
        """Collect launchers that ended, so that they do not stay in the process table."""
        self._children = [child for child in self._children if child.poll() is None]

    def observe(
        self, run: RunDir, attempt: int, *, launched_s: float, grace_s: float
    ) -> Observation:
        """Evidence about an attempt that was started `launched_s` seconds ago."""
        folder = run.attempt(attempt)
        pids = read_json(folder / "pid.json")
        ended = read_json(folder / "exit.json")
        if ended is not None:
            return Observation(False, False, None, _exit(run, attempt, ended))
        if pids is None:
            if launched_s < grace_s or locked(run):
                return Observation(True, True, None, None)
            (folder / REVOKED).parent.mkdir(parents=True, exist_ok=True)
            (folder / REVOKED).touch()
            return Observation(False, True, None, Exit(None, None, "launcher_error"))
        if same_process(pids["trainer"]) or same_process(pids["launcher"]):
            return Observation(True, False, pids["trainer"], None)
        ended = read_json(folder / "exit.json")  # written between the two looks
        if ended is not None:
            return Observation(False, False, None, _exit(run, attempt, ended))
        return Observation(False, False, None, _vanished(run, attempt, pids))

    def terminate(self, trainer: dict[str, Any], number: signal.Signals) -> bool:
        """Signal the trainer's process group if it is still that very process."""
        if not same_process(trainer):
            return False
        try:
            os.killpg(trainer["pid"], number)
            if number is signal.SIGTERM:
                os.killpg(trainer["pid"], signal.SIGCONT)  # a stopped process cannot hear
        except ProcessLookupError:
            return False
        return True


def visible_devices(devices: Sequence[str]) -> dict[str, str]:
    """Environment that shows the trainer exactly its devices."""
    gpus = [d for d in devices if not d.startswith("cpu:")]
    return {"CUDA_VISIBLE_DEVICES": ",".join(gpus)}


def locked(run: RunDir) -> bool:
    """Whether a launcher lives for the run."""
    try:
        fd = os.open(run.path / LOCK_NAME, os.O_RDWR)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(fd)
    return False


def _exit(run: RunDir, attempt: int, ended: dict[str, Any]) -> Exit:
    record = read_exit(run.exit)
    reason = record.reason if record is not None and record.attempt == attempt else None
    if ended["signal"] is not None:
        reason = "killed_signal"
    return Exit(ended["code"], ended["signal"], reason)


def _vanished(run: RunDir, attempt: int, pids: dict[str, Any]) -> Exit:
    """Launcher and trainer are gone without a word: the trainer may have left its own."""
    record = read_exit(run.exit)
    if record is not None and record.attempt == attempt:
        return Exit(record.code, None, record.reason)
    same_boot = pids["trainer"].get("boot_id", "") == boot_id()
    return Exit(None, None, "killed_signal" if same_boot else "node_lost")
