"""`exit.json`: how the trainer ended, in its own words.

The launcher of the daemon writes the operating system's view (`attempts/N/exit.json`); this
file adds the reason and the finding. It is removed when an attempt starts, so that its presence
always speaks of the newest attempt.
"""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from trainer.runs.files import read_json, write_json


@dataclass(frozen=True, slots=True, kw_only=True)
class ExitRecord:
    code: int
    status: str  # succeeded, preempted, stopped, failed
    reason: str  # machine-readable reason code of server.md §2.2
    step: int
    attempt: int
    finding: dict[str, Any] | None = None
    ts: float = 0.0


def write_exit(path: Path, record: ExitRecord) -> None:
    write_json(path, asdict(record) | {"ts": round(time.time(), 3)})


def read_exit(path: Path) -> ExitRecord | None:
    data = read_json(path)
    return ExitRecord(**data) if data else None
