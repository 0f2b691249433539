"""Scalars of runs kept as columns: a growing file is parsed once, whoever asks how often.

A resumed run cuts rows and takes their steps again. Its rows are determined by the training, so
as long as the last row that was read stands where it stood, everything before it does, too; if
it does not, the file is read anew.
"""

from __future__ import annotations

import json
from array import array
from collections import OrderedDict
from pathlib import Path
from threading import Lock

SCALARS = ("loss", "prior_loss", "lr", "grad_norm")
SPARSE = frozenset({"prior_loss"})  # most steps have none: no gaps, but fewer points
KEPT_RUNS = 16
NAN = float("nan")


class Columns:
    """`steps` and one column for each scalar; a value that is not there is NaN."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._clear()

    def _clear(self) -> None:
        self.steps = array("q")
        self.values = {name: array("d") for name in SCALARS}
        self._offset = 0
        self._last = b""

    def update(self) -> Columns:
        """Take in what was written since the last call."""
        try:
            with self.path.open("rb") as file:
                file.seek(self._offset - len(self._last))
                if file.read(len(self._last)) != self._last:
                    self._clear()
                    file.seek(0)
                block = file.read()
        except FileNotFoundError:
            self._clear()
            return self
        whole = block[: block.rfind(b"\n") + 1]
        for line in whole.splitlines(keepends=True):
            self._take(line)
            self._last = line
        self._offset += len(whole)
        return self

    def _take(self, line: bytes) -> None:
        try:
            row = json.loads(line)
            step = int(row["step"])
        except (ValueError, KeyError, TypeError):
            return  # a line that a power cut has spoilt
        self.steps.append(step)
        for name, column in self.values.items():
            value = row.get(name)
            column.append(NAN if value is None else value)


class ColumnCache:
    """Columns of the runs that were asked for last."""

    def __init__(self) -> None:
        self._runs: OrderedDict[Path, Columns] = OrderedDict()
        self._lock = Lock()

    def scalars(self, path: Path, name: str) -> tuple[list[int], list[float]]:
        """Steps and values of one scalar, as they are now."""
        with self._lock:
            columns = self._runs.pop(path, None) or Columns(path)
            self._runs[path] = columns.update()
            if len(self._runs) > KEPT_RUNS:
                self._runs.popitem(last=False)
            steps, values = columns.steps.tolist(), columns.values[name].tolist()
        if name not in SPARSE:
            return steps, values
        there = [(s, v) for s, v in zip(steps, values, strict=True) if v == v]
        return [s for s, _ in there], [v for _, v in there]
