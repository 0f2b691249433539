"""Pairs of 64-bit hashes that differ in few bits, without comparing each with each.

A hash is cut into four bands of 16 bits. If two hashes differ in at most 7 bits, one band differs
in at most one: so each band is looked up as it is and with each single bit turned (17 look-ups in
a sorted column), and only what shares a band is compared in full. For N hashes spread evenly that
is N x 68 x N / 65 536 comparisons instead of N x N / 2; all of it in columns.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

Hashes = NDArray[np.uint64]
Pairs = NDArray[np.int64]  # [n, 2]

BANDS = (0, 16, 32, 48)
SURE = 7  # bits: no pair up to this distance is missed
CHUNK = 1 << 22  # candidate pairs compared at once


def near_pairs(queries: Hashes, hashes: Hashes, distance: int) -> Pairs:
    """All (query, hash) numbers whose hashes differ in at most `distance` bits, sorted, once."""
    assert distance <= SURE, "more bits need more look-ups"
    turned = [0, *(1 << bit for bit in range(16))]
    found = []
    for shift in BANDS:
        keys = (hashes >> np.uint64(shift)) & np.uint64(0xFFFF)
        order = np.argsort(keys, kind="stable")
        keys = keys[order]
        own = (queries >> np.uint64(shift)) & np.uint64(0xFFFF)
        for mask in turned:
            wanted = own ^ np.uint64(mask)
            first = np.searchsorted(keys, wanted, "left")
            last = np.searchsorted(keys, wanted, "right")
            for query, place in _expanded(first, last):
                target = order[place]
                differing = np.bitwise_count(queries[query] ^ hashes[target])
                close = differing <= distance
                found.append(np.stack([query[close], target[close]], axis=1))
    pairs = np.concatenate(found) if found else np.empty((0, 2), dtype=np.int64)
    return np.unique(pairs, axis=0)


def _expanded(first: NDArray, last: NDArray) -> Iterator[tuple[NDArray, NDArray]]:
    """Ranges as (number of the range, each place in it), in chunks of bounded size."""
    lengths = last - first
    ends = np.cumsum(lengths)
    start = 0
    while start < len(lengths):
        before = int(ends[start - 1]) if start else 0
        stop = max(start + 1, int(np.searchsorted(ends, before + CHUNK, "right")))
        part = lengths[start:stop]
        number = np.repeat(np.arange(start, stop), part)
        offset = np.arange(int(part.sum())) - np.repeat(ends[start:stop] - part - before, part)
        yield number, first[number] + offset
        start = stop


def groups(count: int, pairs: Pairs) -> list[list[int]]:
    """Connected groups of more than one, each sorted, in the order of their first member."""
    root = list(range(count))

    def find(item: int) -> int:
        while root[item] != item:
            root[item] = root[root[item]]
            item = root[item]
        return item

    for a, b in pairs.tolist():
        x, y = find(a), find(b)
        root[max(x, y)] = min(x, y)
    members: dict[int, list[int]] = {}
    for item in sorted(set(pairs.ravel().tolist())):
        members.setdefault(find(item), []).append(item)
    return [group for _, group in sorted(members.items()) if len(group) > 1]
