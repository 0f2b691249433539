"""Lint a job file: everything that is wrong with it, before anything is loaded."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from trainer.config.fix import fix_text
from trainer.config.load import FORMATS, guess_format
from trainer.config.resolve import Resolved, resolve
from trainer.findings import Finding


def lint_file(path: Path, *, overrides: Sequence[str] = ()) -> Resolved:
    return resolve(path, overrides=overrides)


def lint_text(
    text: str,
    *,
    name: str = "<text>",
    format: str | None = None,
    base_dir: Path | None = None,
    overrides: Sequence[str] = (),
) -> Resolved:
    return resolve(
        text,
        format=format or guess_format(text),
        name=name,
        base_dir=base_dir,
        overrides=overrides,
    )


def fix_file(path: Path) -> tuple[str, str, list[Finding]]:
    """Old text, mended text and what was mended (TOML only; nothing is written)."""
    text = path.read_text(encoding="utf-8")
    if FORMATS.get(path.suffix.lower(), "toml") != "toml":
        return text, text, []
    new, applied = fix_text(text, resolve(path).findings)
    return text, new, applied
