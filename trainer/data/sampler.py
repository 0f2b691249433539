"""The order of samples: a function of plan, seed and position, owned by us (data.md §10.4).

A global micro-step hands every rank one micro-batch of the same bucket. The state is a handful of
numbers; resuming is arithmetic. Changing the number of ranks or the batch size starts a new
segment at the consumed position, so within an epoch nothing is repeated or lost.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trainer.data.course import Course, Pool, shuffled_entries

PAD_VISIT = 1 << 40  # added to the visit number of a sample that only fills up a batch


@dataclass(frozen=True, slots=True)
class Draw:
    """One global batch: rows are numbers within the pool, visits count draws of a sample."""

    epoch: int
    pool: int
    rows: tuple[int, ...]
    visits: tuple[int, ...]

    def share(self, rank: int, world: int) -> Draw:
        """The part of one rank."""
        size = len(self.rows) // world
        part = slice(rank * size, (rank + 1) * size)
        return Draw(self.epoch, self.pool, self.rows[part], self.visits[part])


class Sampler:
    """Draws of all ranks by micro-step number.

    `segments` are the [global batch size, micro-steps] pairs of a run's past, as its state lists
    them; without them the run starts at the beginning.
    """

    def __init__(
        self,
        pools: Sequence[Pool],
        *,
        seed: int,
        batch_size: int,
        world: int = 1,
        segments: Sequence[Sequence[int]] = (),
    ) -> None:
        self.pools = tuple(pools)
        self.seed = seed
        self.global_batch = batch_size * world
        past = [(int(size), int(count)) for size, count in segments]
        if past and past[-1][0] == self.global_batch:
            past.pop()
        self._past = tuple(past)
        self._first = sum(count for _, count in past)
        self._lock = Lock()
        self._shuffled: dict[tuple[int, int], NDArray[np.uint32]] = {}
        epoch, origins = 0, ()
        for size, count in past:
            epoch, origins = Course(self.pools, seed, size, epoch, origins).after(count)
        self._course = Course(self.pools, seed, self.global_batch, epoch, origins)

    def draw(self, micro_step: int) -> Draw:
        """The global batch of a micro-step."""
        with self._lock:  # schedules and permutations are built once, not by every thread
            epoch, index = self._course.locate(micro_step - self._first)
            pools, running = self._course.schedule(epoch)
            pool = int(pools[index])
            start = self._course.start(pool, epoch) + self.global_batch * int(running[index])
            positions = range(start, start + self.global_batch)
            entries = [self._entry(pool, position, epoch) for position in positions]
        return Draw(epoch, pool, tuple(r for r, _ in entries), tuple(v for _, v in entries))

    def _entry(self, index: int, position: int, epoch: int) -> tuple[int, int]:
        """Row and visit at a stream position; a padded batch wraps around within its epoch."""
        pool, extra = self.pools[index], 0
        if pool.leftover == "pad":
            extra, rest = divmod(position - epoch * pool.entries, pool.entries)
            position = epoch * pool.entries + rest
        block, offset = divmod(position, pool.entries)
        row, copy = divmod(int(self._entries_of(index, block)[offset]), pool.repeats)
        return row, block * pool.repeats + copy + extra * PAD_VISIT

    def _entries_of(self, index: int, block: int) -> NDArray[np.uint32]:
        """The permutation of one pool and epoch; two epochs per pool are kept."""
        if (index, block) not in self._shuffled:
            for key in [k for k in self._shuffled if k[0] == index and abs(k[1] - block) > 1]:
                del self._shuffled[key]
            self._shuffled[index, block] = shuffled_entries(self.pools[index], self.seed, block)
        return self._shuffled[index, block]

    def epoch_of(self, micro_step: int) -> int:
        return self._course.locate(micro_step - self._first)[0]

    def micro_steps_until(self, epochs: int) -> int:
        """Micro-steps from the very start to the end of the first `epochs` epochs."""
        return self._first + self._course.total(epochs - 1)

    def state(self, micro_step: int) -> dict[str, Any]:
        """What a checkpoint keeps; `micro_step` is the next one to draw."""
        segments = [*self._past, (self.global_batch, micro_step - self._first)]
        return {
            "seed": self.seed,
            "epoch": self.epoch_of(micro_step),
            "micro_step": micro_step,
            "segments": [list(s) for s in segments if s[1]],
        }


def segments_of(state: Mapping[str, Any] | None) -> Sequence[Sequence[int]]:
    """The segments of a saved state, for the sampler that continues it."""
    return () if state is None else state["segments"]
