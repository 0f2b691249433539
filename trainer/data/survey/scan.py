"""Datasets as they are now, exactly as training would see them: index, overlay, funnel, pairs.

The difference: nothing is refused. A dataset without captions can be looked at, too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from trainer.config.schema.data import DatasetConfig
from trainer.data.dataset import PARTNERS, Dataset
from trainer.data.datasets import index_of
from trainer.data.funnel import PAIRING, Funnel
from trainer.data.index import Index, Row
from trainer.data.overlay import apply_overlay
from trainer.data.pairs import pair
from trainer.data.scanning import merged_buckets, table_of
from trainer.data.survey.subject import Subject
from trainer.data.survey.watch import Watch
from trainer.data.table import Table
from trainer.data.task import cache_guard
from trainer.findings import Finding


@dataclass(frozen=True, slots=True)
class Scanned:
    """One dataset with the samples that training would use."""

    settings: DatasetConfig
    dataset: Dataset
    index: Index
    funnel: Funnel
    table: Table
    findings: tuple[Finding, ...]

    def rows(self) -> Iterator[Row]:
        """Every sample that was listed and is not left out by the overlay, usable or not."""
        return apply_overlay(self.dataset.overlay, self.index.rows())


def scan_all(subject: Subject, watch: Watch) -> list[Scanned]:
    """Every dataset of the subject, of every role."""
    batch = subject.config.train.batch_size
    with cache_guard(subject.cache_root):
        parts = [
            _scan(subject, dataset, settings, watch)
            for dataset, settings in zip(subject.datasets, subject.settings, strict=True)
        ]
        tables = {part.dataset.id: part.table for part in parts}
        return [_merged(_paired(part, tables), batch) for part in parts]


def _scan(subject: Subject, dataset: Dataset, settings: DatasetConfig, watch: Watch) -> Scanned:
    def tick(stage: str) -> Callable[[int], None]:
        return partial(watch.tick, f"{stage} {dataset.id}")

    index = index_of(subject.cache_root, dataset.source, dataset.kind)
    if subject.config.data.scan == "auto" or not index.generation:
        index.scan(tick("reading"))
    index.hash_contents(dataset.geometry.min_size, tick("hashing"))
    if dataset.geometry.position == "face":
        index.find_faces(dataset.background, tick("finding faces in"))
    remarks: list[Finding] = []
    table, funnel = table_of(index, dataset, lambda *found: remarks.extend(found))
    watch.tick(f"reading {dataset.id}", funnel.found, funnel.found)
    remarks += funnel.findings("excluded", "unreadable", "small", "shape", "short")
    remarks += funnel.findings("uncaptioned", "bad caption")
    return Scanned(settings, dataset, index, funnel, table, tuple(remarks))


def _paired(part: Scanned, tables: Mapping[str, Table]) -> Scanned:
    """Without the samples that lack a partner."""
    if not part.dataset.partners:
        return part
    table = pair(part.table, tables, part.funnel)
    return replace(part, table=table, findings=(*part.findings, *part.funnel.findings(*PAIRING)))


def _merged(part: Scanned, batch_size: int) -> Scanned:
    if part.dataset.role in PARTNERS:
        return part
    table, remark = merged_buckets(part.table, batch_size)
    return replace(part, table=table, findings=(*part.findings, *([remark] if remark else [])))


def findings_of(parts: list[Scanned]) -> list[Finding]:
    return [f for part in parts for f in part.findings]


# --- the document of `data scan` -----------------------------------------------------------------


def scan_document(parts: list[Scanned]) -> dict[str, Any]:
    """The funnel of every dataset, and everything that is left out with its reason."""
    return {"datasets": [_funnel(part) for part in parts]}


def _funnel(part: Scanned) -> dict[str, Any]:
    funnel, dataset = part.funnel, part.dataset
    excluded: list[tuple[str, str]] = []
    rows = apply_overlay(
        dataset.overlay, part.index.rows(), lose=lambda *lost: excluded.append(lost)
    )
    quarantine = [(row.relpath, row.reason) for row in rows if row.reason is not None]
    return {
        "id": dataset.id,
        "place": dataset.source.name,
        "kind": dataset.kind,
        "role": dataset.role,
        "bytes": part.index.total_bytes(),
        "found": funnel.found,
        "readable": funnel.readable,
        "large_enough": funnel.large_enough,
        "captioned": funnel.captioned,
        "paired": funnel.paired,
        "used": funnel.used,
        "lost": {stage: loss.count for stage, loss in funnel.lost.items()},
        "quarantine": [{"path": path, "reason": reason} for path, reason in quarantine],
        "excluded": [{"path": path, "reason": reason} for path, reason in excluded],
    }
