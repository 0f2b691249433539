"""`metrics.jsonl`: the scalars of every optimiser step.

Rows hold only what training determines (no times), so an interrupted and resumed run writes the
same bytes as an undisturbed one. On resume the rows after the checkpoint are cut: their steps
are taken again.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from trainer.runs.files import drop_torn_tail, dump_line, read_lines


class MetricsWriter:
    """Append rows `{step, epoch, loss, lr, grad_norm, samples}`.

    Steps with prior batches have a `prior_loss`; steps of nothing else have no `loss`.
    """

    def __init__(self, path: Path) -> None:
        drop_torn_tail(path)
        self.path = path
        self._fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)

    def append(self, rows: Iterable[dict[str, Any]]) -> None:
        os.write(self._fd, b"".join(dump_line(row) for row in rows))

    def truncate_after(self, step: int) -> None:
        """Forget rows of steps later than `step`."""
        keep = 0
        with self.path.open("rb") as file:
            for line in file:
                if json.loads(line)["step"] > step:
                    break
                keep += len(line)
        os.truncate(self.path, keep)

    def close(self) -> None:
        os.close(self._fd)


def read_metrics(path: Path) -> Iterator[dict[str, Any]]:
    return read_lines(path)
