"""What the tests of the sampler share: random mixtures of datasets, and how to read draws."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st

from trainer.data.course import Pool
from trainer.data.part import Part
from trainer.data.sampler import Draw, Sampler

fast = settings(max_examples=60, deadline=None)
seeds = st.integers(0, 2**31 - 1)


@dataclass(frozen=True)
class Mixture:
    """Arguments of a sampler that do not change within a run."""

    pools: list[Pool]
    parts: dict[int, Part] = field(default_factory=dict)
    mix: str = "epoch"
    seed: int = 0

    def sampler(self, **more: Any) -> Sampler:
        given = {"batch_size": 2, "parts": self.parts, "mix": self.mix, "seed": self.seed}
        return Sampler(self.pools, **(given | more))


def parts(**more: st.SearchStrategy[Any]) -> st.SearchStrategy[Part]:
    return st.builds(
        Part,
        batch_size=st.sampled_from([None, 1, 2, 3]),
        weight=st.sampled_from([1.0, 0.5, 3.0, 0.37]),
        **more,
    )


@st.composite
def mixtures(draw, *, mix=("epoch", "stream"), leftover=("carry", "pad", "drop", "merge"), **more):
    """One to three datasets with one to three buckets each; at least one can fill a batch."""
    pools, chosen = [], {}
    for dataset in range(draw(st.integers(1, 3))):
        left = draw(st.sampled_from(leftover))
        repeats = draw(st.integers(1, 2))
        for bucket in range(draw(st.integers(1, 3))):
            rows = draw(st.integers(1, 9))
            pools.append(Pool(dataset, f"d{dataset}:{bucket}", rows, repeats, left))
        chosen[dataset] = draw(parts(**more))
    pools.append(Pool(0, "d0:large", 12, pools[0].repeats, pools[0].leftover))
    return Mixture(pools, chosen, draw(st.sampled_from(mix)), draw(seeds))


def entries(draws: Iterable[Draw]) -> list[tuple[int, int, int]]:
    """Pool, row and visit of every sample drawn."""
    return [(d.pool, *entry) for d in draws for entry in zip(d.rows, d.visits, strict=True)]


def assert_no_gap(drawn: Iterable[tuple[int, int, int]], pools: list[Pool]) -> None:
    """Nothing twice, and all visits of a round come before any of the next but one; a round of a
    stream is finished before the following one begins."""
    drawn = list(drawn)
    assert len(drawn) == len(set(drawn))
    for number, pool in enumerate(pools):
        rounds = Counter(v // pool.repeats for p, _, v in drawn if p == number)
        assert all(rounds[r] == pool.entries for r in range(max(rounds, default=0)))
