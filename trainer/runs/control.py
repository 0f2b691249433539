"""`control.jsonl`: commands to a running trainer, read between optimiser steps.

Anyone who may write the run directory may command the run; each command has an id, is applied
once and is acknowledged by a `control.ack` event. Commands: stop (intent cancel, pause, preempt
or stop), checkpoint, validate, ping.
"""

from __future__ import annotations

import os
import time
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from trainer.runs.files import LineTail, dump_line

COMMANDS = ("stop", "checkpoint", "validate", "ping")


@dataclass(frozen=True, slots=True)
class Command:
    id: str
    command: str
    args: dict[str, Any] = field(default_factory=dict)


def send(path: Path, command: str, *, id: str | None = None, **args: Any) -> str:
    """Append a command and return its id."""
    id = id or uuid.uuid4().hex
    record = {"id": id, "ts": round(time.time(), 3), "command": command, "args": args}
    fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        os.write(fd, dump_line(record))
    finally:
        os.close(fd)
    return id


class ControlReader:
    """Commands that arrive after this object is made (older ones were for an earlier attempt)."""

    def __init__(self, path: Path) -> None:
        size = path.stat().st_size if path.exists() else 0
        self._tail = LineTail(path, size)

    def poll(self) -> list[Command]:
        return [Command(r["id"], r["command"], r.get("args") or {}) for r in self._tail.poll()]
