"""From remarks to an overlay: what is left out, and which captions are replaced.

Only what needs no judgement is done by itself: damaged files, copies, leaks into the held-out
data, empty masks, and captions whose right form is known. Other codes are left out on demand.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from pathlib import Path

from trainer.data.lint.flag import Flag
from trainer.data.lint.texts import TEXTS
from trainer.data.overlay import Overlay, joined
from trainer.data.overlay_file import write_overlay
from trainer.data.survey.scan import Scanned
from trainer.data.survey.subject import Subject
from trainer.errors import ConfigError
from trainer.findings import finding


def corrections(dataset: str, flags: Iterable[Flag], also: Collection[str] = ()) -> Overlay:
    """What the remarks on one dataset amount to."""
    exclude: dict[str, str] = {}
    captions: dict[str, tuple[str, ...]] = {}
    for flag in flags:
        if flag.dataset != dataset:
            continue
        if TEXTS[flag.code].mechanical or flag.code in also:
            exclude.setdefault(flag.path, f"{flag.code}: {flag.detail}")
        elif flag.caption is not None:
            captions.setdefault(flag.path, flag.caption)
    kept = {name: texts for name, texts in captions.items() if name not in exclude}
    return Overlay(exclude, kept)


def demand_codes(codes: Iterable[str]) -> set[str]:
    """The codes in capitals; ConfigError for one that names no samples."""
    wanted = {code.strip().upper() for given in codes for code in given.split(",") if code.strip()}
    for code in sorted(wanted - TEXTS.keys()):
        known = ", ".join(sorted(TEXTS))
        raise ConfigError(finding("CFG006", f"{code} names no samples", fix=f"use {known}"))
    return wanted


def overlay_path(subject: Subject, part: Scanned, chosen: Path | None) -> Path:
    """Where the overlay of a dataset goes: never into the folder of the samples."""
    if part.settings.overlay:
        return Path(part.settings.overlay)
    if chosen is not None:
        return chosen if len(subject.datasets) == 1 else chosen / f"{part.dataset.id}.overlay.toml"
    if subject.job is not None:
        return subject.job.parent / f"{part.dataset.id}.overlay.toml"
    folder = Path(part.dataset.source.name).resolve()
    return folder.with_name(f"{folder.name}.overlay.toml")


def write_corrections(
    subject: Subject,
    parts: Iterable[Scanned],
    flags: list[Flag],
    *,
    chosen: Path | None,
    also: Collection[str],
) -> list[dict[str, object]]:
    """Write or extend the overlays that have something to say; what was written where."""
    written = []
    for part in parts:
        new = corrections(part.dataset.id, flags, also)
        if not new:
            continue
        path = overlay_path(subject, part, chosen)
        old = _existing(path)
        whole = joined(old, new)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_overlay(path, whole)
        written.append(
            {
                "dataset": part.dataset.id,
                "path": str(path),
                "excluded": len(whole.exclude) - len(old.exclude),
                "captions": len(whole.captions.keys() - old.captions.keys()),
                "in_use": bool(part.settings.overlay),
            }
        )
    return written


def _existing(path: Path) -> Overlay:
    from trainer.data.overlay_file import load_overlay

    return load_overlay(path) if path.exists() else Overlay()
