"""Every sample finds its partners: masks, control pictures, references.

A partner has its sample's path below its own folder, with any ending; or it lies beside the
sample with a suffix. A strict partner must have the sample's shape, because it is cut by the same
box; any size of that shape will do.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from trainer.catalog.generators import GENERATORS
from trainer.data.dataset import PartnerSpec
from trainer.data.funnel import Funnel
from trainer.data.geometry import place_like
from trainer.data.sources.names import partner_name
from trainer.data.table import Ints, Partner, Table


def pair(table: Table, tables: Mapping[str, Table], funnel: Funnel) -> Table:
    """The rows of `table` that have all their partners in `tables`, with them."""
    partners = [_match(table, spec, tables) for spec in table.dataset.partners]
    kept = np.ones(len(table), dtype=bool)
    for partner in partners:
        if partner.table is None or partner.rows is None:
            continue
        for row in map(int, np.flatnonzero((partner.rows < 0) & kept)):
            funnel.lose("unpaired", table.relpaths[row], f"it has none in {partner.spec.dataset}")
        kept &= partner.rows >= 0
        if partner.spec.strict:
            _drop_misshapen(table, partner, kept, funnel)
    paired = replace(table, partners=tuple(partners))
    if not kept.all():
        paired = paired.take(np.flatnonzero(kept))
    funnel.paired = funnel.used = len(paired)
    return paired


def _match(table: Table, spec: PartnerSpec, tables: Mapping[str, Table]) -> Partner:
    if spec.dataset is None:
        assert spec.made is not None, "lint demands a dataset or a generator"
        return Partner(spec, GENERATORS[spec.made.generator].makes)
    other = tables[spec.dataset]
    suffix = other.dataset.suffix
    places = {partner_name(path, suffix): row for row, path in enumerate(other.relpaths)}
    rows = [places.get(partner_name(path, None), -1) for path in table.relpaths]
    return Partner(spec, other.dataset.role, other, np.array(rows, dtype=np.int64))


def _drop_misshapen(table: Table, partner: Partner, kept: np.ndarray, funnel: Funnel) -> None:
    """Rows whose partner cannot be cut like the sample are lost, with both sizes named."""
    assert partner.table is not None
    assert partner.rows is not None
    mine, theirs = table.sizes, partner.table.sizes[np.maximum(partner.rows, 0)]
    for row in map(int, np.flatnonzero(kept & (mine != theirs).any(axis=1))):
        size, other = _size(mine[row]), _size(theirs[row])
        if place_like(other, size, table.placement(row)) is None:
            kept[row] = False
            reason = f"{size[0]} x {size[1]}, but {other[0]} x {other[1]} in {partner.spec.dataset}"
            funnel.lose("misshapen", table.relpaths[row], reason)


def _size(row: np.ndarray) -> tuple[int, int]:
    return int(row[0]), int(row[1])


def orphans(tables: Mapping[str, Table], paired: Sequence[Table]) -> dict[str, Ints]:
    """Rows of partner tables that no sample asked for, by dataset."""
    asked: dict[str, set[int]] = {name: set() for name in tables}
    for table in paired:
        for partner in table.partners:
            if partner.table is not None and partner.rows is not None:
                asked[partner.table.dataset.id].update(partner.rows.tolist())
    return {
        name: np.setdiff1d(np.arange(len(tables[name])), np.array(sorted(rows), dtype=np.int64))
        for name, rows in asked.items()
    }
