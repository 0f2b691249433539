"""The trainer's sign of life, as far as it speaks of the attempt that is looked at."""

from __future__ import annotations

from dataclasses import dataclass

from trainer.runs.files import read_json
from trainer.runs.layout import RunDir


@dataclass(frozen=True, slots=True)
class Beat:
    """When the trainer last reported, and whether it was writing a checkpoint then."""

    ts: float
    saving: bool


def beat_of(run: RunDir, attempt: int) -> Beat | None:
    """None before the attempt has reported: until then the trainer reads no commands."""
    record = read_json(run.heartbeat)
    if not isinstance(record, dict) or record.get("attempt") != attempt:
        return None
    return Beat(float(record.get("ts", 0.0)), bool(record.get("saving")))
