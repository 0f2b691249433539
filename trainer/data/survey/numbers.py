"""Histograms and summaries of columns of numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray


def histogram(values: NDArray[Any], edges: Sequence[float], labels: Sequence[str]) -> list[dict]:
    """Counts between `edges`, open at both ends: one more label than edges. Empty ends are cut."""
    assert len(labels) == len(edges) + 1, "a label for each class"
    places = np.searchsorted(np.asarray(edges, dtype=np.float64), values, side="right")
    counts = np.bincount(places, minlength=len(labels)) if len(values) else [0] * len(labels)
    bars = [{"label": a, "count": int(n)} for a, n in zip(labels, counts, strict=True)]
    filled = [i for i, bar in enumerate(bars) if bar["count"]]
    return bars[filled[0] : filled[-1] + 1] if filled else []


def summary(values: NDArray[Any]) -> dict[str, float] | None:
    """Minimum, median, mean and maximum; None of nothing."""
    if not len(values):
        return None
    return {
        "min": float(np.min(values)),
        "median": float(np.median(values)),
        "mean": round(float(np.mean(values)), 3),
        "max": float(np.max(values)),
    }
