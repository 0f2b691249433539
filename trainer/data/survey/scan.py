"""Datasets as they are now: index up to date, overlay applied, funnel filled, table made."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

from trainer.config.schema.data import DatasetConfig
from trainer.data.dataset import Dataset
from trainer.data.datasets import index_of
from trainer.data.funnel import Funnel
from trainer.data.index import Index, Row
from trainer.data.overlay import Overlay, apply_overlay, unknown_names, without_effect
from trainer.data.overlay_file import load_overlay
from trainer.data.selection import make_table
from trainer.data.survey.subject import Subject
from trainer.data.survey.watch import Watch
from trainer.data.table import Table
from trainer.data.task import cache_guard
from trainer.findings import Finding


@dataclass(frozen=True, slots=True)
class Part:
    """One dataset, scanned; `excluded` are the samples its overlay leaves out, with reasons."""

    settings: DatasetConfig
    dataset: Dataset
    index: Index
    overlay: Overlay
    funnel: Funnel
    table: Table
    excluded: tuple[tuple[str, str], ...]
    findings: tuple[Finding, ...]

    def rows(self) -> Iterator[Row]:
        """Every sample that was listed and is not left out by the overlay."""
        return apply_overlay(self.overlay, self.index.rows())


def scan_all(subject: Subject, watch: Watch) -> list[Part]:
    """Every dataset of the subject, of every role."""
    with cache_guard(subject.cache_root):
        return [
            _scan(subject, dataset, settings, watch)
            for dataset, settings in zip(subject.datasets, subject.settings, strict=True)
        ]


def _scan(subject: Subject, dataset: Dataset, settings: DatasetConfig, watch: Watch) -> Part:
    overlay = load_overlay(settings.overlay) if settings.overlay else Overlay()
    index = index_of(subject.cache_root, dataset.source, dataset.kind)
    index.scan(partial(watch.tick, f"reading {dataset.id}"))
    index.hash_contents(dataset.geometry.min_size, partial(watch.tick, f"hashing {dataset.id}"))
    funnel = Funnel(dataset.id, dataset.source.name)
    excluded: list[tuple[str, str]] = []
    met: set[str] = set()
    kept = apply_overlay(
        overlay, index.rows(), lose=lambda name, why: excluded.append((name, why)), met=met
    )
    table = make_table(dataset, kept, funnel)
    watch.tick(f"reading {dataset.id}", funnel.found, funnel.found)
    found = [
        *funnel.findings("unreadable", "small", "uncaptioned", "bad caption"),
        *unknown_names(overlay, met, dataset.id),
        *without_effect(overlay, dataset.caption.source, dataset.id),
    ]
    return Part(settings, dataset, index, overlay, funnel, table, tuple(excluded), tuple(found))


def findings_of(parts: list[Part]) -> list[Finding]:
    return [f for part in parts for f in part.findings]


# --- the document of `data scan` -----------------------------------------------------------------


def scan_document(parts: list[Part]) -> dict[str, Any]:
    """The funnel of every dataset, and everything that is left out with its reason."""
    return {"datasets": [_funnel(part) for part in parts]}


def _funnel(part: Part) -> dict[str, Any]:
    funnel, dataset = part.funnel, part.dataset
    quarantine = [
        {"path": row.relpath, "reason": row.reason} for row in part.rows() if row.reason is not None
    ]
    return {
        "id": dataset.id,
        "place": dataset.source.name,
        "kind": dataset.kind,
        "role": dataset.role,
        "bytes": part.index.total_bytes(),
        "found": funnel.found + len(part.excluded),
        "kept": funnel.found,
        "readable": funnel.readable,
        "large_enough": funnel.large_enough,
        "captioned": funnel.captioned,
        "used": funnel.used,
        "lost": {stage: loss.count for stage, loss in funnel.lost.items()},
        "quarantine": quarantine,
        "excluded": [{"path": path, "reason": reason} for path, reason in part.excluded],
    }
