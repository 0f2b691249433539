"""The order of samples: a function of plan, seed and position, owned by us (data.md §10.4).

A global micro-step hands every rank one micro-batch of the same bucket. The state is a few
numbers per pool; resuming is arithmetic. Changing the number of ranks or the batch size starts a
new course at the consumed position, so within an epoch nothing is repeated or lost.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trainer.data.course import Pool, shuffled_entries
from trainer.data.part import Mix, Part
from trainer.data.position import beginning, record
from trainer.data.setup import Setup
from trainer.data.timeline import Timeline

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

    `parts` say how datasets take part, by dataset number; `state` is what a checkpoint kept of
    the sampler that this one continues.
    """

    def __init__(
        self,
        pools: Sequence[Pool],
        *,
        seed: int,
        batch_size: int,
        world: int = 1,
        parts: Mapping[int, Part] | None = None,
        mix: Mix = "epoch",
        accumulate: int = 1,
        state: Mapping[str, Any] | None = None,
    ) -> None:
        parts = parts or {}
        if mix == "stream":  # weights decide how often a dataset is drawn
            pools = [replace(pool, repeats=1) for pool in pools]
        sizes = [parts.get(pool.dataset, Part()).batch_size or batch_size for pool in pools]
        self._setup = Setup(
            pools=tuple(pools),
            sizes=tuple(size * world for size in sizes),
            parts=parts,
            mix=mix,
            seed=seed,
            accumulate=accumulate,
        )
        self._timeline = Timeline(self._setup, beginning(self._setup, state))
        self._lock = Lock()  # schedules and permutations are built once, not by every thread
        self._shuffled: dict[tuple[int, int], NDArray[np.uint32]] = {}

    def draw(self, micro_step: int) -> Draw:
        """The global batch of a micro-step."""
        with self._lock:
            piece = self._timeline.at(micro_step)
            epoch, pool, start, cycle = piece.order.spot(micro_step - piece.place.micro_step)
            positions = range(start, start + self._setup.sizes[pool])
            entries = [self._entry(pool, position, cycle) for position in positions]
        return Draw(epoch, pool, tuple(r for r, _ in entries), tuple(v for _, v in entries))

    def _entry(self, index: int, position: int, cycle: int) -> tuple[int, int]:
        """Row and visit at a stream position; a padded batch wraps around within its epoch."""
        pool, extra = self._setup.pools[index], 0
        if pool.leftover == "pad":
            extra, rest = divmod(position - cycle * pool.entries, pool.entries)
            position = cycle * pool.entries + rest
        block, offset = divmod(position, pool.entries)
        row, copy = divmod(int(self._entries_of(index, block)[offset]), pool.repeats)
        return row, block * pool.repeats + copy + extra * PAD_VISIT

    def _entries_of(self, index: int, block: int) -> NDArray[np.uint32]:
        """The permutation of one pool and epoch; two epochs per pool are kept."""
        if (index, block) not in self._shuffled:
            for key in [k for k in self._shuffled if k[0] == index and abs(k[1] - block) > 1]:
                del self._shuffled[key]
            pool = self._setup.pools[index]
            self._shuffled[index, block] = shuffled_entries(pool, self._setup.seed, block)
        return self._shuffled[index, block]

    def epoch_of(self, micro_step: int) -> int:
        with self._lock:
            piece = self._timeline.at(micro_step)
            return piece.order.epoch_of(micro_step - piece.place.micro_step)

    def micro_steps_until(self, epochs: int) -> int:
        """Micro-steps from the very start to the end of the first `epochs` epochs."""
        with self._lock:
            return self._timeline.micro_steps_until(epochs)

    def steps_until(self, epochs: int) -> int:
        """Optimiser steps that cover the first `epochs` epochs."""
        last = max(self.micro_steps_until(epochs) - 1, self._timeline.start.micro_step)
        return self._timeline.step_of(last) + 1

    def demand_steps(self, steps: int) -> None:
        """DataError when at some time of the first `steps` optimiser steps nobody takes part."""
        last = self._timeline.micro_step_of(steps) - 1
        if last >= self._timeline.start.micro_step:
            with self._lock:
                self._timeline.at(last)

    def state(self, micro_step: int) -> dict[str, Any]:
        """What a checkpoint keeps; `micro_step` is the next one to draw."""
        with self._lock:
            now = self._timeline.place(micro_step)
        return {
            "seed": self._setup.seed,
            "mix": self._setup.mix,
            "settings": self._setup.digest,
            **record(now, self._setup.pools),
            "began": record(self._timeline.start, self._setup.pools),
        }
