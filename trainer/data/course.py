"""Which pool each global batch of an epoch comes from: pure arithmetic, no stored order.

A pool is one dataset in one bucket. Its samples form an endless stream: epoch after epoch, each a
permutation of rows x repeats. A course cuts these streams into global batches, starting at any
origin, so a run that changes its number of ranks or its batch size starts a new course exactly
where the old one stopped. How many batches a pool has given up to any epoch is a closed formula,
which makes every position reachable without replaying the ones before it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from trainer.rng import stream_seed

Leftover = Literal["carry", "drop", "pad", "merge"]
Numbers = NDArray[np.uint32]


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

    @property
    def carries(self) -> bool:
        """What does not fill a batch waits for the next epoch; so it does where it was merged."""
        return self.leftover in ("carry", "merge")

    def fills(self, size: int) -> bool:
        """Whether batches of `size` ever come out of it."""
        return self.leftover != "drop" or self.entries >= size


class Lane(NamedTuple):
    """A pool as a course cuts it: batches of `size` samples from stream position `origin` on."""

    number: int  # of the pool in the plan
    pool: Pool
    size: int
    origin: int = 0
    turn: int = 0  # groups of lanes take turns as evenly as their sizes allow


class Spot(NamedTuple):
    """Where a batch is cut: stream positions from `position` on, in `cycle` of its stream."""

    epoch: int
    number: int
    position: int
    cycle: int


class Standing(NamedTuple):
    """Epoch, and the position and cycle of every stream by pool number."""

    epoch: int
    streams: dict[int, tuple[int, int]]


@dataclass(frozen=True, eq=False)
class Course:
    """Batches of all lanes, epoch by epoch from `first_epoch` on."""

    lanes: tuple[Lane, ...]
    seed: int
    first_epoch: int = 0
    _schedules: dict[int, tuple[Numbers, Numbers]] = field(default_factory=dict)
    _totals: dict[int, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        assert self.lanes, "a course needs a pool"
        assert all(lane.pool.fills(lane.size) for lane in self.lanes), "a pool never fills a batch"

    def start(self, lane: Lane, epoch: int) -> int:
        """Stream position at which `lane` begins in `epoch`."""
        if epoch == self.first_epoch:
            return lane.origin
        if lane.pool.carries:
            return lane.origin + lane.size * self.given(lane, epoch - 1)
        return epoch * lane.pool.entries

    def given(self, lane: Lane, epoch: int) -> int:
        """Batches that `lane` gives from the start of the course to the end of `epoch`."""
        pool, later = lane.pool, epoch - self.first_epoch
        if later < 0:
            return 0
        if pool.carries:
            return ((epoch + 1) * pool.entries - lane.origin) // lane.size
        first = (self.first_epoch + 1) * pool.entries - lane.origin
        if pool.leftover == "drop":
            return first // lane.size + later * (pool.entries // lane.size)
        return -(-first // lane.size) + later * -(-pool.entries // lane.size)

    def total(self, epoch: int) -> int:
        """Batches of all lanes up to the end of `epoch`."""
        if epoch not in self._totals:
            self._totals[epoch] = sum(self.given(lane, epoch) for lane in self.lanes)
        return self._totals[epoch]

    def batches_until(self, epoch: int) -> int:
        """Batches before the first one of `epoch`."""
        return self.total(epoch - 1)

    def locate(self, index: int) -> tuple[int, int]:
        """Epoch of batch number `index` of the course, and its number within that epoch."""
        low = high = self.first_epoch
        while self.total(high) <= index:
            low, high = high, high + 2 * (high - self.first_epoch + 1)
        while low < high:
            middle = (low + high) // 2
            if self.total(middle) > index:
                high = middle
            else:
                low = middle + 1
        return low, index - self.total(low - 1)

    def epoch_of(self, index: int) -> int:
        """Epoch of batch number `index` of the course."""
        return self.locate(index)[0]

    def spot(self, index: int) -> Spot:
        """Where batch number `index` of the course is cut."""
        epoch, place = self.locate(index)
        labels, running = self.schedule(epoch)
        lane = self.lanes[int(labels[place])]
        position = self.start(lane, epoch) + lane.size * int(running[place])
        return Spot(epoch, lane.number, position, epoch)

    def schedule(self, epoch: int) -> tuple[Numbers, Numbers]:
        """Per batch of `epoch`, in order: its lane, and the how-manieth of that lane it is."""
        if epoch not in self._schedules:
            while len(self._schedules) > 1:
                self._schedules.pop(min(self._schedules), None)
            counts = [self.given(x, epoch) - self.given(x, epoch - 1) for x in self.lanes]
            self._schedules[epoch] = self._order(counts, epoch)
        return self._schedules[epoch]

    def _order(self, counts: Sequence[int], epoch: int) -> tuple[Numbers, Numbers]:
        """Buckets shuffled within each dataset; datasets, then turns, so that they end together."""
        turns: list[Numbers] = []
        for turn in sorted({lane.turn for lane in self.lanes}):
            orders = []
            for dataset in sorted({x.pool.dataset for x in self.lanes if x.turn == turn}):
                own = [i for i, x in enumerate(self.lanes) if x.pool.dataset == dataset]
                order = np.repeat(np.array(own, dtype=np.uint32), [counts[i] for i in own])
                name = f"course:{dataset}:{self.lanes[own[0]].size}:{self.first_epoch}"
                if len(own) > 1:  # a permutation takes time, and of equal labels changes nothing
                    order = order[permutation(stream_seed(self.seed, 0, epoch, name), len(order))]
                orders.append(order)
            turns.append(interleaved(orders))
        labels = interleaved(turns)
        return labels, _running_count(labels, len(self.lanes))

    def standing(self, batches: int, epoch: int | None = None) -> Standing:
        """Where the streams are after the first `batches` batches; at an end of several epochs
        without a batch, `epoch` says which one is meant."""
        done = np.zeros(len(self.lanes), dtype=np.int64)
        if epoch is None:
            epoch, place = self.locate(batches)
            if place:
                done = np.bincount(self.schedule(epoch)[0][:place], minlength=len(self.lanes))
        streams: dict[int, tuple[int, int]] = {}
        for lane, given in zip(self.lanes, done, strict=True):
            position = self.start(lane, epoch) + lane.size * int(given)
            if lane.pool.leftover == "pad":
                position = min(position, (epoch + 1) * lane.pool.entries)
            streams[lane.number] = position, epoch
        return Standing(epoch, streams)


def interleaved(orders: Sequence[Numbers]) -> Numbers:
    """Several sequences in one, each spread evenly over the whole; ties in their order."""
    if len(orders) == 1:
        return orders[0]
    places = [(np.arange(len(order)) + 0.5) / max(1, len(order)) for order in orders]
    return np.concatenate(orders)[np.argsort(np.concatenate(places), kind="stable")]


def _running_count(labels: Numbers, num_labels: int) -> Numbers:
    """For each element, how many equal ones come before it."""
    narrow = np.uint16 if num_labels <= 1 << 16 else np.uint32  # 16 bits are sorted by radix
    order = np.argsort(labels.astype(narrow), kind="stable")
    counts = np.bincount(labels, minlength=num_labels)
    first = np.repeat(np.cumsum(counts) - counts, counts)
    running = np.empty(len(labels), dtype=np.uint32)
    running[order] = np.arange(len(labels)) - first
    return running


def permutation(seed: int, length: int) -> NDArray[np.intp]:
    """A permutation that never changes with a library version: raw PCG64 words, sorted."""
    return np.argsort(np.random.PCG64(seed).random_raw(length), kind="stable")


def shuffled_entries(pool: Pool, seed: int, epoch: int) -> Numbers:
    """The stream of `pool` within one epoch: entry numbers (row x repeats + copy)."""
    order = permutation(stream_seed(seed, 0, epoch, f"order:{pool.name}"), pool.entries)
    return order.astype(np.uint32)
