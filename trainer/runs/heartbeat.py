"""`heartbeat.json`: proof of life of a trainer, and the identity of its process.

A process id alone proves nothing, since ids are recycled: identity is pid + start time in clock
ticks + boot id (server.md §2.7).
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

from trainer.runs.files import write_json


def boot_id() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:  # not Linux: the start time has to do alone
        return ""


def start_ticks(pid: int) -> int | None:
    """Start time of a live process in clock ticks since boot; None when it is gone or a zombie."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        if not Path("/proc/self/stat").exists():
            return _start_ticks_portable(pid)
        return None
    fields = text[text.rfind(")") + 2 :].split()
    return None if fields[0] in "ZX" else int(fields[19])


def _start_ticks_portable(pid: int) -> int | None:
    import psutil

    try:
        return int(psutil.Process(pid).create_time() * 100)
    except psutil.Error:
        return None


def process_identity(pid: int) -> dict[str, Any]:
    return {"pid": pid, "start_ticks": start_ticks(pid), "boot_id": boot_id()}


def same_process(record: dict[str, Any] | None) -> bool:
    """Whether the process that `record` names is still the one alive under that id."""
    if not record or not record.get("pid") or record.get("start_ticks") is None:
        return False
    if record.get("boot_id", "") != boot_id():
        return False
    return start_ticks(int(record["pid"])) == record["start_ticks"]


class Heartbeat:
    """Writes the file at most once per second unless the phase changes."""

    def __init__(self, path: Path, *, attempt: int) -> None:
        self.path = path
        self._base = process_identity(os.getpid()) | {"attempt": attempt}
        self._next = 0.0
        self._phase = ""

    def beat(
        self, *, phase: str, step: int, total: int, saving: bool = False, force: bool = False
    ) -> None:
        now = time.monotonic()
        if now < self._next and phase == self._phase and not force:
            return
        self._next, self._phase = now + 1.0, phase
        record = {"ts": round(time.time(), 3), "phase": phase, "step": step, "total": total}
        write_json(self.path, self._base | record | {"saving": saving}, durable=False)
