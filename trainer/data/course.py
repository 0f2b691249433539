"""Which pool each global batch of an epoch comes from: pure arithmetic, no stored order.

A pool is one dataset in one bucket. Its samples form an endless stream: epoch after epoch, each a
permutation of rows x repeats. A course cuts these streams into global batches of `size` samples,
starting at any origin, so a run that changes its number of ranks or its batch size starts a new
course exactly where the old one stopped. How many batches a pool has given up to any epoch is a
closed formula, which makes every position reachable without replaying the ones before it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from trainer.rng import stream_seed

Leftover = Literal["carry", "drop", "pad"]
Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Pool:
    """Samples of one dataset that share a bucket."""

    dataset: int
    name: str  # of dataset and bucket: the pool's own random stream
    rows: int
    repeats: int = 1
    leftover: Leftover = "carry"

    @property
    def entries(self) -> int:
        """Draws per epoch."""
        return self.rows * self.repeats


@dataclass(frozen=True, eq=False)
class Course:
    """Cutting of all pools into batches of `size`, from `origins` in `first_epoch` onwards."""

    pools: tuple[Pool, ...]
    seed: int
    size: int
    first_epoch: int = 0
    origins: tuple[int, ...] = ()
    _schedules: dict[int, tuple[Ints, Ints]] = field(default_factory=dict)
    _totals: dict[int, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        assert self.pools, "a course needs a pool"
        assert not self.origins or len(self.origins) == len(self.pools), "one origin per pool"

    def start(self, pool: int, epoch: int) -> int:
        """Stream position at which `pool` begins in `epoch`."""
        p, origin = self.pools[pool], self.origin(pool)
        if epoch == self.first_epoch:
            return origin
        if p.leftover == "carry":
            return origin + self.size * self.given(pool, epoch - 1)
        return epoch * p.entries

    def origin(self, pool: int) -> int:
        return self.origins[pool] if self.origins else 0

    def given(self, pool: int, epoch: int) -> int:
        """Batches that `pool` gives from the start of the course to the end of `epoch`."""
        p, later = self.pools[pool], epoch - self.first_epoch
        if later < 0:
            return 0
        if p.leftover == "carry":
            return ((epoch + 1) * p.entries - self.origin(pool)) // self.size
        first = (self.first_epoch + 1) * p.entries - self.origin(pool)
        if p.leftover == "drop":
            return first // self.size + later * (p.entries // self.size)
        return -(-first // self.size) + later * -(-p.entries // self.size)

    def total(self, epoch: int) -> int:
        """Batches of all pools up to the end of `epoch`."""
        if epoch not in self._totals:
            self._totals[epoch] = sum(self.given(i, epoch) for i in range(len(self.pools)))
        return self._totals[epoch]

    def locate(self, index: int) -> tuple[int, int]:
        """Epoch of batch number `index` of the course, and its number within that epoch."""
        low = high = self.first_epoch
        while self.total(high) <= index:
            low, high = high, high + 2 * (high - self.first_epoch + 1)
            assert high < 1 << 40, "no pool ever fills a batch"
        while low < high:
            middle = (low + high) // 2
            if self.total(middle) > index:
                high = middle
            else:
                low = middle + 1
        return low, index - self.total(low - 1)

    def schedule(self, epoch: int) -> tuple[Ints, Ints]:
        """Per batch of `epoch`, in order: its pool, and the how-manieth of that pool it is."""
        if epoch not in self._schedules:
            while len(self._schedules) > 1:
                self._schedules.pop(min(self._schedules), None)
            self._schedules[epoch] = self._build_schedule(epoch)
        return self._schedules[epoch]

    def _build_schedule(self, epoch: int) -> tuple[Ints, Ints]:
        """Buckets shuffled within each dataset; datasets interleaved so that they end together."""
        counts = [self.given(i, epoch) - self.given(i, epoch - 1) for i in range(len(self.pools))]
        labels, places, owners = [], [], []
        for dataset in sorted({p.dataset for p in self.pools}):
            own = [i for i, p in enumerate(self.pools) if p.dataset == dataset]
            order = np.repeat(np.array(own, dtype=np.int64), [counts[i] for i in own])
            name = f"course:{dataset}:{self.size}:{self.first_epoch}"
            labels.append(order[permutation(stream_seed(self.seed, 0, epoch, name), len(order))])
            places.append((np.arange(len(order)) + 0.5) / max(1, len(order)))
            owners.append(np.full(len(order), dataset))
        pools = np.concatenate(labels)
        pools = pools[np.lexsort((np.concatenate(owners), np.concatenate(places)))]
        return pools, _running_count(pools, len(self.pools))

    def after(self, count: int) -> tuple[int, tuple[int, ...]]:
        """Epoch and origins of a course that continues after the first `count` batches."""
        epoch, index = self.locate(count)
        done = np.bincount(self.schedule(epoch)[0][:index], minlength=len(self.pools))
        ends = []
        for i, pool in enumerate(self.pools):
            position = self.start(i, epoch) + self.size * int(done[i])
            if pool.leftover == "pad":
                position = min(position, (epoch + 1) * pool.entries)
            ends.append(position)
        return epoch, tuple(ends)


def _running_count(labels: Ints, num_labels: int) -> Ints:
    """For each element, how many equal ones come before it."""
    order = np.argsort(labels, kind="stable")
    counts = np.bincount(labels, minlength=num_labels)
    first = np.repeat(np.cumsum(counts) - counts, counts)
    running = np.empty(len(labels), dtype=np.int64)
    running[order] = np.arange(len(labels)) - first
    return running


def permutation(seed: int, length: int) -> Ints:
    """A permutation that never changes with a library version: raw PCG64 words, sorted."""
    return np.argsort(np.random.PCG64(seed).random_raw(length), kind="stable")


def shuffled_entries(pool: Pool, seed: int, epoch: int) -> NDArray[np.uint32]:
    """The stream of `pool` within one epoch: entry numbers (row x repeats + copy)."""
    order = permutation(stream_seed(seed, 0, epoch, f"order:{pool.name}"), pool.entries)
    return order.astype(np.uint32)
