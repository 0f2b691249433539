"""Millions of texts in two arrays instead of millions of objects."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, eq=False)
class Strings:
    """An immutable sequence of texts, packed as UTF-8; `ends[i]` is where text i stops."""

    packed: bytearray | memoryview
    ends: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.ends)

    def __getitem__(self, index: int) -> str:
        start = int(self.ends[index - 1]) if index else 0
        return bytes(self.packed[start : int(self.ends[index])]).decode()

    def __iter__(self) -> Iterator[str]:
        return (self[i] for i in range(len(self)))

    def take(self, rows: Iterable[int]) -> Strings:
        return pack(self[int(i)] for i in rows)


class Packer:
    """Collects texts one by one."""

    def __init__(self) -> None:
        self._packed, self._ends = bytearray(), array("q")

    def add(self, text: str) -> None:
        self._packed += text.encode()
        self._ends.append(len(self._packed))

    def done(self) -> Strings:
        return Strings(self._packed, column(self._ends))


def column(values: array[int]) -> NDArray[np.int64]:
    """The array's own memory as a column."""
    return np.frombuffer(values, dtype=np.int64) if values else np.empty(0, dtype=np.int64)


def pack(texts: Iterable[str]) -> Strings:
    packer = Packer()
    for text in texts:
        packer.add(text)
    return packer.done()
