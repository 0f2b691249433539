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

    packed: bytes
    ends: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.ends)

    def __getitem__(self, index: int) -> str:
        start = int(self.ends[index - 1]) if index else 0
        return self.packed[start : int(self.ends[index])].decode()

    def __iter__(self) -> Iterator[str]:
        return (self[i] for i in range(len(self)))

    def take(self, rows: Iterable[int]) -> Strings:
        return pack(self[int(i)] for i in rows)


def pack(texts: Iterable[str]) -> Strings:
    packed, ends = bytearray(), array("q")
    for text in texts:
        packed += text.encode()
        ends.append(len(packed))
    return Strings(bytes(packed), np.frombuffer(ends, dtype=np.int64) if ends else _NONE)


_NONE = np.empty(0, dtype=np.int64)
