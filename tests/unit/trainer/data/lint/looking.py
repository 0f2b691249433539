"""Calling the linter on folders and jobs of a test."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from trainer.data.lint.run import lint
from trainer.data.survey.scan import scan_all
from trainer.data.survey.subject import Subject, open_subject
from trainer.data.survey.watch import Watch
from trainer.findings import Finding


def quiet() -> Watch:
    return Watch(lambda line: None)


def subject_of(place: Path, *overrides: str, resolution: str | None = "256px2") -> Subject:
    cache = f'cache.root="{place.parent / "cache"}"'
    return open_subject(place, resolution=resolution, overrides=[cache, *overrides])


def job(path: Path, *datasets: dict[str, Any], **sections: Any) -> Path:
    """A job file with these datasets."""
    data = {"datasets": list(datasets), "defaults": {"resolution": "256px2"}}
    body = {"model": {"family": "sdxl"}, "data": data | sections.pop("data", {})} | sections
    path.write_text(json.dumps(body))
    return path


def linted(
    place: Path, *overrides: str, resolution: str | None = "256px2", **options: Any
) -> tuple[dict[str, Any], list[Finding]]:
    subject = subject_of(place, *overrides, resolution=resolution)
    parts = scan_all(subject, quiet())
    return lint(subject, parts, quiet(), **options)


def flagged(document: dict[str, Any], findings: list[Finding]) -> dict[str, set[str]]:
    """Code -> names: what the linter says of samples, and what the funnel lost."""
    found: dict[str, set[str]] = {}
    for entry in document["files"]:
        found.setdefault(entry["code"], set()).add(entry["path"])
    for finding in findings:
        if finding.code in ("DAT003", "DAT006", "DAT007"):
            names = {entry["path"] for entry in finding.evidence["files"]}
            found.setdefault(finding.code, set()).update(names)
    return found
