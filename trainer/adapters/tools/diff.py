"""What two adapters do differently, layer by layer, whatever layouts they are in.

Changes are compared, not tensors: two files of different rank, alpha or layout are equal when they
do the same.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from trainer.adapters.tools import spectrum
from trainer.adapters.tools.output import told_family
from trainer.adapters.tools.read import load_whole
from trainer.adapters.tools.record import DORA, Adapter, Part
from trainer.adapters.tools.spectrum import Pair
from trainer.errors import DataError
from trainer.findings import Finding, finding


def diff(one: Path, other: Path, *, family: str | None = None) -> dict[str, Any]:
    first, second = load_whole(one, family), load_whole(other, family)
    if not set(first.families) & set(second.families) and first.families and second.families:
        raise DataError(_apart(one, first, second))
    mine, theirs = first.by_name(), second.by_name()
    rows = [_row(mine.get(key), theirs.get(key)) for key in dict.fromkeys([*mine, *theirs])]
    return {
        "files": [str(one), str(other)],
        "equal": all(row["state"] == "equal" for row in rows),
        "layers": rows,
        "metadata": _metadata(first.metadata, second.metadata),
    }


def _apart(one: Path, first: Adapter, second: Adapter) -> Finding:
    return finding(
        "LOR030",
        f"one is of {told_family(first)}, the other of {told_family(second)}",
        where=str(one),
        why="their layers have nothing to do with each other",
        fix="compare adapters of one family, or name it with --family",
    )


def _row(one: Part | None, other: Part | None) -> dict[str, Any]:
    present = one or other
    assert present is not None
    row: dict[str, Any] = {
        "layer": present.name,
        "state": "changed",
        "ranks": [one.rank if one else None, other.rank if other else None],
        "norms": [spectrum.norm(one) if one else None, spectrum.norm(other) if other else None],
        "difference": None,
        "relative": None,
    }
    if one is None or other is None:
        return row | {"state": "only in the second" if one is None else "only in the first"}
    if _equal(one, other):
        return row | {"state": "equal", "difference": 0.0, "relative": 0.0}
    pairs = spectrum.pair_of(one), spectrum.pair_of(other)
    plain = DORA not in one.tensors and DORA not in other.tensors
    if pairs[0] is not None and pairs[1] is not None and plain and _fit(pairs[0], pairs[1]):
        gap = float(spectrum.values(spectrum.joined([pairs[0], pairs[1]], [1.0, -1.0])).norm())
        size = max(*(norm or 0.0 for norm in row["norms"]), 1e-300)
        same = gap <= 1e-6 * size
        return row | {
            "state": "equal" if same else "changed",
            "difference": gap,
            "relative": gap / size,
        }
    return row


def _fit(one: Pair, other: Pair) -> bool:
    return len(one.up) == len(other.up) and one.down.shape[1] == other.down.shape[1]


def _equal(one: Part, other: Part) -> bool:
    return (
        one.tensors.keys() == other.tensors.keys()
        and one.scale == other.scale
        and all(t.equal(other.tensors[name]) for name, t in one.tensors.items())
    )


def _metadata(one: Any, other: Any) -> list[dict[str, Any]]:
    keys = sorted(one.keys() | other.keys())
    return [
        {"key": key, "values": [one.get(key), other.get(key)]}
        for key in keys
        if one.get(key) != other.get(key)
    ]
