"""What the mixture of datasets tells before the run: findings on parts that do not fit together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from trainer.data.course import Pool
from trainer.data.part import Mix, Part
from trainer.findings import Finding, finding

SIDES = ("positive", "negative", "neutral")


def mix_remarks(
    pools: Sequence[Pool], parts: Mapping[int, Part], mix: Mix, batch_size: int
) -> list[Finding]:
    """Sides of a slider that cannot take turns evenly; `batch_size` is train.batch_size."""
    known = {pool.dataset: parts.get(pool.dataset, Part()) for pool in pools}
    if mix == "stream" or all(part.slider is None for part in known.values()):
        return []
    batches: dict[int, float] = {}
    for pool in pools:
        part = known[pool.dataset]
        size = part.batch_size or batch_size
        batches[part.turn] = batches.get(part.turn, 0.0) + pool.entries / size
    most, least = max(batches.values()), min(batches.values())
    if most - least < 1:
        return []
    listed = ", ".join(f"{SIDES[turn]} {count:.0f}" for turn, count in sorted(batches.items()))
    return [
        finding(
            "DAT061",
            f"the sides of the slider have different numbers of batches in an epoch: {listed}",
            where="data.datasets",
            why="each sample is trained on `repeats` times an epoch, so the sides cannot take "
            "turns one by one",
            fix='set data.mix = "stream", which cycles strictly, or even them out with repeats',
            level="warn",
        )
    ]
