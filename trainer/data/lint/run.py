"""All checks over all datasets, as one report."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from trainer.data.lint.captions import check_captions
from trainer.data.lint.duplicates import check_duplicates
from trainer.data.lint.files import check_files
from trainer.data.lint.fix import demand_codes, write_corrections
from trainer.data.lint.flag import Flag, Group, Sample
from trainer.data.lint.geometry import check_geometry, mixing
from trainer.data.lint.measure import Measures
from trainer.data.lint.media import check_media
from trainer.data.lint.memory import Picture, key_of, measure_all
from trainer.data.lint.pairs import check_pairs
from trainer.data.lint.quality import check_quality
from trainer.data.lint.texts import as_findings
from trainer.data.plan import remarks
from trainer.data.survey.buckets import epoch_arithmetic, train_plan
from trainer.data.survey.scan import Scanned, findings_of
from trainer.data.survey.subject import Subject
from trainer.data.survey.tokens import token_counter
from trainer.data.survey.watch import Watch
from trainer.data.task import cache_guard
from trainer.findings import LEVELS, Finding

DATABASE = "lint/measures.db"
LOOKED_AT = ("train", "eval", "prior")  # captions and quality matter here; partners only pair up
PAIRED = ("DAT018", "DAT019")  # the funnel's; the check of pairs lists every sample
FROM_PLAN = ("DAT010",)  # what the plan says better than a check of ours


def lint(
    subject: Subject,
    parts: Sequence[Scanned],
    watch: Watch,
    *,
    trigger: str | None = None,
    fix: bool = False,
    overlay: Path | None = None,
    exclude: Sequence[str] = (),
    sheet: Path | None = None,
) -> tuple[dict[str, Any], list[Finding]]:
    """The document of `data lint` and its findings, the worst first."""
    also = demand_codes(exclude)
    groups = gather(subject, parts, watch)
    flags = check(subject, groups, trigger)
    plan = train_plan(list(parts))
    planned = [f for f in remarks(plan, subject.config.train.batch_size) if f.code in FROM_PLAN]
    told = [f for f in findings_of(list(parts)) if f.code not in PAIRED]
    found = [*told, *as_findings(flags), *mixing(subject.config, groups)]
    found += planned
    found.sort(key=lambda f: (-LEVELS.index(f.level), f.code, f.where))
    written = []
    if fix or also:
        written = write_corrections(subject, parts, flags, chosen=overlay, also=also)
    if sheet is not None:
        from trainer.data.lint.sheet import write_sheet

        write_sheet(sheet, parts, flags, watch)
    document = {
        "family": subject.facts.key,
        "datasets": [
            {"id": g.id, "role": g.dataset.role, "samples": len(g.samples)} for g in groups
        ],
        "epoch": epoch_arithmetic(subject, plan),
        "files": [flag.document() for flag in flags],
        "overlays": written,
        "sheet": str(sheet) if sheet is not None else None,
    }
    return document, found


def gather(subject: Subject, parts: Sequence[Scanned], watch: Watch) -> list[Group]:
    """All readable samples; pictures are decoded once, however often they occur."""
    pictures = [
        Picture(row.content, part.dataset.kind, part.dataset.source, row.relpath, row.locator)
        for part in parts
        if part.dataset.kind in ("image", "video")
        for row in part.rows()
        if row.reason is None and row.content is not None
    ]
    different = {picture.key: picture for picture in pictures}
    database = subject.cache_root / DATABASE
    with cache_guard(subject.cache_root):
        measures = measure_all(database, different, partial(watch.tick, "looking at pictures"))
    return [_group(subject, number, part, measures) for number, part in enumerate(parts)]


def _group(subject: Subject, number: int, part: Scanned, measures: dict[bytes, Measures]) -> Group:
    samples = [
        Sample(
            dataset=number,
            relpath=row.relpath,
            facts=row.facts,
            content=row.content,
            captions=part.dataset.captions(row.relpath, row.text),
            measures=measures.get(key_of(row.content, part.dataset.kind)),
        )
        for row in part.rows()
        if row.reason is None and row.content is not None
    ]
    return Group(
        number=number,
        dataset=part.dataset,
        settings=part.settings,
        needs_sound=part.settings.audio is not None or "audio" in subject.facts.modality,
        samples=samples,
    )


def check(subject: Subject, groups: Sequence[Group], trigger: str | None) -> list[Flag]:
    """Every remark of every check, in a fixed order."""
    return list(_checks(subject, groups, trigger))


def _checks(subject: Subject, groups: Sequence[Group], trigger: str | None) -> Iterator[Flag]:
    tokens = token_counter(subject)
    for group in groups:
        yield from check_files(group)
        if group.dataset.role in LOOKED_AT:
            yield from check_quality(group)
            yield from check_geometry(group)
            yield from check_media(group)
            yield from check_captions(group, tokens, trigger)
    yield from check_duplicates(groups)
    yield from check_pairs(groups)
