"""Metrics of a run thinned out for drawing: each bucket keeps its least and greatest value."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from stdaemon.wire.metrics import MetricSeries, Series
from trainer.runs.events import read_events
from trainer.runs.layout import RunDir
from trainer.runs.metrics import read_metrics

NAMES = ("loss", "lr", "grad_norm", "eval_loss", "style_distance")


def series(run: RunDir, names: Sequence[str], points: int) -> MetricSeries:
    """The named series with at most about `points` points each."""
    found: dict[str, tuple[list[int], list[float]]] = {name: ([], []) for name in names}
    scalars = [n for n in names if n in ("loss", "lr", "grad_norm")]
    for row in read_metrics(run.metrics) if scalars else ():
        for name in scalars:
            found[name][0].append(row["step"])
            found[name][1].append(row[name])
    if any(n in ("eval_loss", "style_distance") for n in names):
        _measured(run.events, found)
    return MetricSeries(
        series={name: thin(steps, values, points) for name, (steps, values) in found.items()}
    )


def _measured(events: Path, found: dict[str, tuple[list[int], list[float]]]) -> None:
    keys = {"eval_loss": "loss", "style_distance": "style_distance"}
    for event in read_events(events):
        if event["kind"] != "eval":
            continue
        for name, key in keys.items():
            if name in found and event.get(key) is not None:
                found[name][0].append(event["step"])
                found[name][1].append(event[key])


def thin(steps: list[int], values: list[float], points: int) -> Series:
    """At most `points` points: minimum and maximum of equal buckets, in order of steps."""
    if len(steps) <= max(2, points):
        return Series(steps=steps, values=[_finite(v) for v in values])
    buckets = max(1, points // 2)
    keep: list[int] = []
    for number in range(buckets):
        low = number * len(steps) // buckets
        high = (number + 1) * len(steps) // buckets
        span = range(low, high)
        pair = {min(span, key=values.__getitem__), max(span, key=values.__getitem__)}
        keep += sorted(pair)
    return Series(steps=[steps[i] for i in keep], values=[_finite(values[i]) for i in keep])


def _finite(value: float) -> float | None:
    return value if value == value and abs(value) != float("inf") else None
