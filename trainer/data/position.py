"""The sampler's position in a checkpoint: a few numbers per pool, kept by the pool's name.

It says where the streams stand, and where the present course began and under which settings. With
the same settings the course goes on; with any other (ranks, batch size, weights, schedules, even
samples) a new one begins where the streams stand, so nothing is repeated or lost.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from trainer.data.course import Course, Lane, Pool
from trainer.data.setup import Setup
from trainer.errors import DataError
from trainer.findings import Finding, finding


@dataclass(frozen=True, slots=True)
class Place:
    """Where a run stands before a micro-step: per pool the next stream position and its cycle."""

    micro_step: int
    step: int
    epoch: int
    positions: tuple[int, ...]
    cycles: tuple[int, ...]


def record(place: Place, pools: tuple[Pool, ...]) -> dict[str, Any]:
    """A place as a checkpoint keeps it."""
    streams = zip(pools, place.positions, place.cycles, strict=True)
    return {
        "micro_step": place.micro_step,
        "step": place.step,
        "epoch": place.epoch,
        "streams": {pool.name: [at, cycle, pool.entries] for pool, at, cycle in streams},
    }


def beginning(setup: Setup, state: Mapping[str, Any] | None) -> Place:
    """The place at which the course of a run begins that continues `state`."""
    if state is None:
        nothing = (0,) * len(setup.pools)
        return Place(0, 0, 0, nothing, nothing)
    if state.get("mix", "epoch") != setup.mix:
        raise DataError(_other_mix(state.get("mix", "epoch"), setup.mix))
    if "segments" in state:
        return _from_segments(setup, state["segments"])
    return _place(state["began"] if state["settings"] == setup.digest else state, setup)


def _place(kept: Mapping[str, Any], setup: Setup) -> Place:
    """A record as a place; pools that changed or are new stand where they would in their epoch."""
    streams: Mapping[str, list[int]] = kept["streams"]
    positions: list[int] = []
    cycles: list[int] = []
    for pool in setup.pools:
        siblings = [p.name for p in setup.pools if p.dataset == pool.dataset]
        cycle = max((streams[name][1] for name in siblings if name in streams), default=None)
        if cycle is None:
            cycle = kept["epoch"] if setup.mix == "epoch" else 0
        position, cycle, entries = streams.get(pool.name, [cycle * pool.entries, cycle, 0])
        if entries not in (0, pool.entries):
            into = position - cycle * entries
            position = cycle * pool.entries + max(0, into) * pool.entries // entries
        positions.append(position)
        cycles.append(cycle)
    return Place(kept["micro_step"], kept["step"], kept["epoch"], tuple(positions), tuple(cycles))


def _from_segments(setup: Setup, segments: list[list[int]]) -> Place:
    """From what checkpoints kept first: [global batch size, micro-steps] of each course."""
    past = [(size, count) for size, count in segments]
    if past and set(setup.sizes) == {past[-1][0]}:
        past.pop()
    epoch, origins = 0, [0] * len(setup.pools)
    for size, count in past:
        lanes = [
            Lane(number, pool, size, origin)
            for number, (pool, origin) in enumerate(zip(setup.pools, origins, strict=True))
            if pool.fills(size)
        ]
        epoch, streams = Course(tuple(lanes), setup.seed, epoch).standing(count)
        for number, pool in enumerate(setup.pools):
            unfilled = max(origins[number], epoch * pool.entries)
            origins[number] = streams.get(number, (unfilled, epoch))[0]
    micro_step = sum(count for _, count in past)
    cycles = (epoch,) * len(origins)
    return Place(micro_step, micro_step // setup.accumulate, epoch, tuple(origins), cycles)


def _other_mix(old: str, new: str) -> Finding:
    return finding(
        "DAT062",
        f'the run was begun with mix = "{old}" and cannot go on with "{new}"',
        where="data.mix",
        why="an epoch of one means nothing to the other",
        fix=f'set data.mix = "{old}", or use a new run directory',
    )
