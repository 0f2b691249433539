"""Metrics of a run thinned out for drawing: each bucket keeps its least and greatest value."""

from __future__ import annotations

import math
from collections.abc import Sequence

from stdaemon.watch.columns import SCALARS, ColumnCache
from stdaemon.wire.metrics import MetricSeries, Series
from trainer.runs.events import read_events
from trainer.runs.layout import RunDir

MEASURED = {"eval_loss": "loss", "style_distance": "style_distance"}
"""Series that come from `eval` events, with the field of the event."""
NAMES = (*SCALARS, *MEASURED)


def series(cache: ColumnCache, run: RunDir, names: Sequence[str], points: int) -> MetricSeries:
    """The named series with at most about `points` points each."""
    found: dict[str, tuple[list[int], list[float]]] = {}
    for name in names:
        if name in SCALARS:
            found[name] = cache.scalars(run.metrics, name)
    if any(name in MEASURED for name in names):
        found |= _measured(run, [name for name in names if name in MEASURED])
    thinned = {name: thin(*found[name], points) for name in names}
    return MetricSeries(series=thinned)


def _measured(run: RunDir, names: Sequence[str]) -> dict[str, tuple[list[int], list[float]]]:
    found: dict[str, tuple[list[int], list[float]]] = {name: ([], []) for name in names}
    for event in read_events(run.events):
        if event["kind"] != "eval":
            continue
        for name, (steps, values) in found.items():
            if (value := event.get(MEASURED[name])) is not None:
                steps.append(event["step"])
                values.append(value)
    return found


def thin(steps: list[int], values: list[float], points: int) -> Series:
    """At most `points` points: minimum and maximum of equal buckets, in order of steps.

    A value that is no number is kept only where its whole bucket is like it.
    """
    if len(steps) <= max(2, points):
        return Series(steps=steps, values=[_finite(v) for v in values])
    buckets = max(1, points // 2)
    keep: list[int] = []
    for number in range(buckets):
        low = number * len(steps) // buckets
        high = (number + 1) * len(steps) // buckets
        span = [i for i in range(low, high) if math.isfinite(values[i])] or [low]
        keep += sorted({min(span, key=values.__getitem__), max(span, key=values.__getitem__)})
    return Series(steps=[steps[i] for i in keep], values=[_finite(values[i]) for i in keep])


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
