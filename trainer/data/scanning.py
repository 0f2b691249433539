"""From sources to tables: bring each index up to date, choose its rows, pair them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from trainer.data import snapshot
from trainer.data.buckets import sizes_of
from trainer.data.dataset import PARTNERS, Dataset
from trainer.data.datasets import index_of
from trainer.data.few import few_of, read_contents
from trainer.data.funnel import PAIRING, Funnel
from trainer.data.index import Index
from trainer.data.merge import merge_remark, merges
from trainer.data.overlay import apply_overlay, unknown_names, without_effect
from trainer.data.pairs import orphans, pair
from trainer.data.selection import make_table
from trainer.data.table import Table
from trainer.data.task import Task
from trainer.findings import Finding, finding

SHOWN = 20


def scan_all(task: Task, datasets: Sequence[Dataset]) -> list[Table]:
    """The tables of all datasets that give samples, paired with their partners."""
    tables = {dataset.id: scan(task, dataset) for dataset in datasets}
    paired = [_paired(task, t, tables) for t in tables.values() if t.dataset.role not in PARTNERS]
    _tell_orphans(task, tables, paired)
    return [_merged(task, table) for table in paired]


def scan(task: Task, dataset: Dataset) -> Table:
    """Bring one index up to date and pass its rows through the funnel."""
    progress = task.progress(f"index:{dataset.id}")

    def tick(done: int) -> None:
        progress(done, max(done, 1) + 1)  # the end is not known before it is there
        task.check_stop()

    index = index_of(task.root, dataset.source, dataset.kind)
    if task.config.data.scan == "auto" or not index.generation:
        index.scan(tick)
    if task.few is not None and dataset.role not in PARTNERS:
        table, funnel = few_of(index, dataset, task.few, tick)
    else:
        read_contents(index, dataset, tick)
        table, funnel = table_of(index, dataset, task.report)
    task.funnels[dataset.id] = funnel
    progress(funnel.found, funnel.found)
    task.judge(funnel)
    task.report(*funnel.findings("excluded", "unreadable", "small", "shape", "short"))
    task.report(*funnel.findings("uncaptioned", "bad caption"))
    return table


def table_of(
    index: Index, dataset: Dataset, report: Callable[..., None] = lambda *found: None
) -> tuple[Table, Funnel]:
    """From the snapshot where there is one; large tables leave one."""
    path, tag = index.snapshot(dataset.id), snapshot.tag_of(dataset, index.generation)
    if (frozen := snapshot.load(path, tag, dataset)) is not None:
        return frozen
    funnel = Funnel(dataset.id, dataset.source.name)
    met: set[str] = set()
    rows = apply_overlay(dataset.overlay, index.rows(), lose=funnel.exclude, met=met)
    table = make_table(dataset, rows, funnel)
    report(*unknown_names(dataset.overlay, met, dataset.id))
    report(*without_effect(dataset.overlay, dataset.caption.source, dataset.id))
    if len(table) >= snapshot.MIN_ROWS:
        snapshot.save(path, tag, table, funnel)
        return snapshot.load(path, tag, dataset) or (table, funnel)
    return table, funnel


def _paired(task: Task, table: Table, tables: Mapping[str, Table]) -> Table:
    if not table.dataset.partners:
        return table
    funnel = task.funnels[table.dataset.id]
    paired = pair(table, tables, funnel)
    task.judge(funnel)
    task.report(*funnel.findings(*PAIRING))
    return paired


def _merged(task: Task, table: Table) -> Table:
    merged, remark = merged_buckets(table, task.config.train.batch_size)
    task.report(*([remark] if remark else []))
    return merged


def merged_buckets(table: Table, batch_size: int) -> tuple[Table, Finding | None]:
    """Small buckets of pictures are cut to the shape of larger ones, where that is asked for;
    `batch_size` is train.batch_size."""
    dataset = table.dataset
    if dataset.leftover != "merge" or dataset.kind != "image":
        return table, None
    sizes, labels = sizes_of(table)
    rows = np.bincount(labels, minlength=len(sizes))
    counts = {size[:2]: int(n) * dataset.repeats for size, n in zip(sizes, rows, strict=True)}
    batch = dataset.batch_size or batch_size
    moved = merges(counts, batch)
    remark = merge_remark(dataset.id, dataset.source.name, counts, moved, batch)
    return replace(table, recut=moved), remark


def _tell_orphans(task: Task, tables: Mapping[str, Table], paired: Sequence[Table]) -> None:
    """Partners that belong to no sample are left alone, but told."""
    if task.few is not None:  # most of their samples were not taken
        return
    for name, rows in orphans(tables, paired).items():
        table = tables[name]
        if not len(rows) or table.dataset.role not in PARTNERS:
            continue
        names = [table.relpaths[int(row)] for row in rows[:SHOWN]]
        task.report(
            finding(
                "DAT015",
                f"{name}: {len(rows)} of {len(table)} files belong to no sample, as {names[0]}",
                where=table.dataset.source.name,
                why="a partner has the path of its sample below its own folder",
                fix="rename or remove them",
                level="warn",
                count=len(rows),
                files=names,
            )
        )
