"""Findings as table columns and as one line, for both front ends."""

from __future__ import annotations

from collections.abc import Sequence

from sttui.format.columns import Column, column
from trainer.findings import LEVELS, Finding

STYLES = {"error": "red", "warn": "yellow", "info": "dim"}

FINDING_COLUMNS = (
    Column("level", lambda f: f.level, style=lambda f: STYLES[f.level]),
    column("code"),
    column("where"),
    column("message"),
    column("fix"),
    column("why", wide=True),
)


def summary(findings: Sequence[Finding]) -> str:
    """`2 errors, 1 warning`, or `nothing to complain about`."""
    words = {"error": "error", "warn": "warning", "info": "note"}
    parts = []
    for level in reversed(LEVELS):
        count = sum(f.level == level for f in findings)
        if count:
            parts.append(f"{count} {words[level]}{'s' if count > 1 else ''}")
    return ", ".join(parts) or "nothing to complain about"
