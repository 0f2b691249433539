"""Which rows of a table share a batch: those of one size, length, and size of loose partners."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from trainer.data.geometry import shape_number, target_size
from trainer.data.table import Ints, Table

Size = tuple[int, int, int]  # width and height in pixels, length (see `length_of`)


def buckets(table: Table) -> dict[str, Ints]:
    """Rows by bucket; its name is the same in every job."""
    sizes, labels = sizes_of(table)
    names = [_name(size) for size in sizes]
    for partner in table.partners:
        if partner.spec.strict or partner.table is None or partner.rows is None:
            continue
        theirs, of_partner = sizes_of(partner.table)
        both = labels * len(theirs) + of_partner[partner.rows]
        pairs, labels = np.unique(both, return_inverse=True)
        here = [divmod(pair, len(theirs)) for pair in pairs.tolist()]
        names = [f"{names[mine]}+{_name(theirs[other])}" for mine, other in here]
    return {name: np.flatnonzero(labels == i) for i, name in enumerate(names)}


def sizes_of(table: Table) -> tuple[list[Size], Ints]:
    """Target sizes, sorted, and which one each row has."""
    targets, labels = _targets(table)
    if len(table.moving):
        lengths = np.array([table.length(row) for row in range(len(table))], dtype=np.int64)
        pairs, labels = np.unique(np.stack([labels, lengths], axis=1), axis=0, return_inverse=True)
        return [(*targets[t], length) for t, length in pairs.tolist()], labels.ravel()
    return [(*target, 1) for target in targets], labels


def _targets(table: Table) -> tuple[list[tuple[int, int]], Ints]:
    """Target sizes of the pictures, asked once per picture size and drawn shape."""
    sizes, kinds, first = _kinds(table)
    spec = table.dataset.geometry
    draw = table.draw
    targets = [
        table.recut.get(own, own)
        for (width, height), row in zip(sizes, first, strict=True)
        for own in [target_size(width, height, spec, draw(row)) if width else (0, 0)]
    ]
    different = sorted(set(targets))
    labels = np.array([different.index(target) for target in targets], dtype=np.int64)
    return different, labels[kinds]


def _kinds(table: Table) -> tuple[list[tuple[int, int]], NDArray[np.intp], list[int]]:
    """Picture sizes with one entry per drawn shape, which of them each row has, a row of each."""
    sizes, inverse, _ = table.by_size
    spec = table.dataset.geometry
    shapes = 1
    if spec.varied:
        shapes = len(spec.aspects)
        drawn = [shape_number(spec, table.draw(row).shape) for row in range(len(table))]
        inverse = inverse * shapes + np.array(drawn, dtype=np.int64)
    kinds, first, labels = np.unique(inverse, return_index=True, return_inverse=True)
    return [sizes[k // shapes] for k in kinds.tolist()], labels, first.tolist()


def _name(size: Size) -> str:
    width, height, length = size
    if not width:
        return f"{length / 100:g}s"
    return f"{width}x{height}" + (f"@{length}" if length > 1 else "")
