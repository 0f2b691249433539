"""Geometry: shapes unlike the rest, and how much each dataset weighs in the mix."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np

from trainer.config.schema.root import JobConfig
from trainer.data.geometry import MAX_ASPECT, kept_share, place
from trainer.data.lint.flag import Flag, Group, Sample
from trainer.findings import Finding, finding

UNLIKE = 1.8  # factor between a shape and the median shape …
RARE = 0.02  # … of a group of shapes that holds no more than this share
FEW = 20  # samples below which nothing is called rare
CUT = 0.6  # of a picture that is kept by its crop
UNEVEN = 5.0  # times as often as the samples of another dataset


def check_geometry(group: Group) -> Iterator[Flag]:
    yield from _outliers(group)
    for sample in group.sized:
        ratio = max(sample.size) / min(sample.size)
        if ratio > MAX_ASPECT and group.dataset.geometry.aspect == "preserve":
            yield group.flag("DAT014", sample, f"{_times(sample)}, {ratio:.1f}:1")


def _outliers(group: Group) -> Iterator[Flag]:
    samples = group.sized
    if len(samples) < FEW:
        return
    shapes = np.log([s.facts.width / s.facts.height for s in samples])
    middle = float(np.median(shapes))
    classes = np.round(shapes / math.log(1.25)).astype(int)  # shapes within 25 % are one class
    _, inverse, counts = np.unique(classes, return_inverse=True, return_counts=True)
    rare = counts[inverse] <= max(1.0, RARE * len(samples))
    for number in np.flatnonzero(rare & (np.abs(shapes - middle) > math.log(UNLIKE))):
        sample = samples[number]
        placed = place(*sample.size, group.dataset.geometry)
        lost = 1 - kept_share(placed)
        crop = f", {lost:.0%} of it is cut off" if lost > 1 - CUT else ""
        bucket = f"{placed.target[0]} x {placed.target[1]}"
        yield group.flag("DAT082", sample, f"{_times(sample)}, bucket {bucket}{crop}")


def _times(sample: Sample) -> str:
    return f"{sample.facts.width} x {sample.facts.height}"


def mixing(config: JobConfig, all_groups: Sequence[Group]) -> list[Finding]:
    """A remark when the samples of one dataset are seen far more often than those of another."""
    own = [g for g in all_groups if g.dataset.role == "train" and g.samples]
    if len(own) < 2:
        return []
    stream = config.data.mix == "stream"
    how_often = {
        g.id: g.settings.weight / len(g.samples) if stream else float(g.dataset.repeats)
        for g in own
    }
    most, least = (choose(how_often, key=how_often.__getitem__) for choose in (max, min))
    factor = how_often[most] / how_often[least]
    if factor <= UNEVEN:
        return []
    key = "weight" if stream else "repeats"
    shares = {g.id: how_often[g.id] * len(g.samples) for g in own}
    total = sum(shares.values())
    return [
        finding(
            "DAT083",
            f"a sample of {most} is seen {factor:.1f} times as often as one of {least}",
            where="data.datasets",
            why="the model learns the first by heart while it has hardly seen the second",
            fix=f"nothing if that is meant; else change {key}",
            level="info",
            shares={name: round(share / total, 4) for name, share in shares.items()},
        )
    ]
