"""The plan: which samples are trained on, pooled by dataset and bucket. Frozen and hashed.

The hash is part of a checkpoint's identity: it covers pictures, captions, sizes and crops, but
not where the folder lies.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import blake2b

import numpy as np

from trainer.data.buckets import buckets
from trainer.data.course import Pool
from trainer.data.dataset import Dataset
from trainer.data.geometry import MAX_ASPECT, enlargement, place
from trainer.data.item import Item
from trainer.data.table import Ints, Table
from trainer.errors import DataError
from trainer.findings import Finding, finding

BLURRED = 1.1  # enlarging by less than this is not worth a word


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """Tables, and the rows of each pool sorted by sample id."""

    tables: tuple[Table, ...]
    pools: tuple[Pool, ...]
    rows: tuple[Ints, ...]
    plan_hash: str

    def __bool__(self) -> bool:
        return bool(self.pools)

    def __len__(self) -> int:
        return sum(map(len, self.tables))

    def dataset(self, pool: int) -> Dataset:
        return self.tables[self.pools[pool].dataset].dataset

    def item(self, pool: int, row: int, crop: int = 0) -> Item:
        """Sample number `row` of a pool, in one of its crops."""
        return self.tables[self.pools[pool].dataset].item(int(self.rows[pool][row]), crop)

    def sample_id(self, pool: int, row: int) -> int:
        return int(self.tables[self.pools[pool].dataset].ids[self.rows[pool][row]])

    def items(self) -> Iterator[Item]:
        return (item for table in self.tables for item in table.items())


def make_plan(tables: Sequence[Table]) -> Plan:
    pools: list[Pool] = []
    rows: list[Ints] = []
    for number, table in enumerate(tables):
        dataset = table.dataset
        for bucket, members in buckets(table).items():
            name = f"{dataset.id}:{bucket}"
            rows.append(members[np.argsort(table.ids[members])])
            pools.append(Pool(number, name, len(members), dataset.repeats, dataset.leftover))
    digest = blake2b(b"plan/2" + b"".join(t.digest for t in tables), digest_size=12)
    return Plan(tuple(tables), tuple(pools), tuple(rows), digest.hexdigest())


# --- what the plan tells about the data ------------------------------------------------------


def remarks(plan: Plan, batch_size: int) -> list[Finding]:
    """Findings on data that is usable, but perhaps not what was meant."""
    found: list[Finding] = []
    for number, table in enumerate(plan.tables):
        found += [f for f in (*_about_shapes(table), _doubles(table)) if f]
        pools = [p for p in plan.pools if p.dataset == number]
        found += _small_pools(table.dataset, pools, table.dataset.batch_size or batch_size)
    return found


def _about_shapes(table: Table) -> tuple[Finding | None, ...]:
    if table.dataset.kind == "audio":
        return ()
    return _enlarged(table), _cut_off(table)


def _enlarged(table: Table) -> Finding | None:
    dataset = table.dataset
    sizes, _, counts = table.by_size
    factors = [enlargement(w, h, place(w, h, dataset.geometry)) for w, h in sizes]
    many = sum(int(n) for f, n in zip(factors, counts, strict=True) if f > BLURRED)
    if not many:
        return None
    return finding(
        "DAT008",
        f"{dataset.id}: {many} of {len(table)} pictures are enlarged, up to {max(factors):.1f}x",
        where=dataset.source.name,
        why="they are smaller than the training size; the model learns their blur",
        fix="lower the resolution, or leave them out with min_size",
        level="warn",
        count=many,
    )


def _cut_off(table: Table) -> Finding | None:
    dataset = table.dataset
    sizes, _, counts = table.by_size
    ratios = [max(s) / min(s) for s in sizes]
    many = sum(int(n) for r, n in zip(ratios, counts, strict=True) if r > MAX_ASPECT)
    if not many or dataset.geometry.aspect != "preserve":
        return None
    return finding(
        "DAT014",
        f"{dataset.id}: {many} pictures are longer than {MAX_ASPECT:.0f}:1 and are cut",
        where=dataset.source.name,
        why="only part of them is seen; their captions may speak of the rest",
        fix="split them into several pictures",
        level="info",
        count=many,
    )


def _doubles(table: Table) -> Finding | None:
    if len(table) < 2:
        return None
    heads = np.ascontiguousarray(table.contents[:, :8]).view(np.uint64).ravel()
    order = np.argsort(heads, kind="stable")
    again = heads[order[1:]] == heads[order[:-1]]
    many = int(again.sum())
    if not many:
        return None
    rows = np.flatnonzero(heads == heads[order[1:][again][0]])[:5]
    return finding(
        "DAT009",
        f"{table.dataset.id}: {many} pictures are exact copies of others",
        where=table.dataset.source.name,
        why="copies count as often as they occur",
        fix="remove the copies, or leave them if the weight is meant",
        level="info",
        count=many,
        example=[table.relpaths[int(r)] for r in rows],
    )


def _small_pools(dataset: Dataset, pools: Sequence[Pool], batch_size: int) -> list[Finding]:
    """Buckets that cannot fill a batch in one epoch, and what that means."""
    small = [p for p in pools if p.entries < batch_size]
    if not small or dataset.leftover == "pad":
        return []
    lost = sum(p.rows for p in small)
    dropped = dataset.leftover == "drop"
    return [
        finding(
            "DAT010",
            f"{dataset.id}: {len(small)} of {len(pools)} buckets hold fewer samples than a batch "
            f"of {batch_size} ({lost} samples)",
            where=dataset.source.name,
            why="with leftover = drop they are never trained on"
            if dropped
            else "their samples are carried over until a batch is full",
            fix='set leftover = "carry"' if dropped else "nothing to do; repeats fill them sooner",
            level="warn" if dropped else "info",
            samples=lost,
        )
    ]


def demand_batches(plan: Plan, batch_size: int) -> None:
    """DataError when the leftover policies leave no batch at all."""
    sizes = [plan.dataset(n).batch_size or batch_size for n in range(len(plan.pools))]
    if any(p.leftover != "drop" or p.entries >= n for p, n in zip(plan.pools, sizes, strict=True)):
        return
    raise DataError(
        finding(
            "DAT011",
            f"no bucket holds a batch of {batch_size}, and leftovers are dropped",
            where="data.datasets",
            fix='set leftover = "carry" or "pad", or lower train.batch_size',
        )
    )
