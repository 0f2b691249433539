"""`events.jsonl`: what happened in a run, one JSON object a line, `seq` without gaps.

Everything a user interface shows comes from here. The writer is the trainer alone; it continues
the numbering of earlier attempts, and a line torn by a crash is cut before the next is written.

Kinds: run.start, phase, cache.progress, progress, eval, checkpoint.saved,
checkpoint.quarantined, checkpoint.pruned, sample.saved, grid.saved, adapter.saved, finding,
control.ack, run.end.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from trainer.runs.files import LineTail, drop_torn_tail, dump_line, last_line, read_lines

EVENT_KINDS = (
    "run.start",
    "phase",
    "cache.progress",
    "progress",
    "eval",
    "checkpoint.saved",
    "checkpoint.quarantined",
    "checkpoint.pruned",
    "sample.saved",
    "grid.saved",
    "adapter.saved",
    "finding",
    "control.ack",
    "run.end",
)

EventTail = LineTail


class EventWriter:
    """Append-only writer; every record is one `write` call, so readers see whole lines."""

    def __init__(self, path: Path, run: str, *, clock: Callable[[], float] = time.time) -> None:
        drop_torn_tail(path)
        last = last_line(path)
        self.seq = int(last["seq"]) if last else 0
        self.run = run
        self._clock = clock
        self._fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)

    def emit(self, kind: str, **fields: Any) -> int:
        """Write one event and return its sequence number."""
        assert kind in EVENT_KINDS, f"unknown event kind {kind}"
        seq = self.seq + 1
        record = {"seq": seq, "ts": round(self._clock(), 3), "run": self.run, "kind": kind}
        os.write(self._fd, dump_line(record | fields))
        self.seq = seq
        return seq

    def close(self) -> None:
        os.close(self._fd)


def read_events(path: Path, after: int = 0) -> Iterator[dict[str, Any]]:
    """Events with `seq` greater than `after`, in order."""
    return (event for event in read_lines(path) if event["seq"] > after)
