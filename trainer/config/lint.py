"""Lint a job file: everything that is wrong with it, before anything is loaded.

A preset is linted as what it is: a job that may leave the data to whoever uses it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from trainer.config.load import FORMATS, Document, guess_format
from trainer.config.presets import base_of, is_preset
from trainer.config.resolve import Resolved, resolve
from trainer.findings import Finding

LEFT_OPEN = frozenset({"CFG080"})
MAX_ROUNDS = 10


def lint_file(path: Path, *, overrides: Sequence[str] = (), preset: bool = False) -> Resolved:
    """Check a file; `preset` says that it is meant as a preset even if it does not say so."""
    return as_meant(resolve(path, overrides=overrides), preset=preset)


def lint_text(
    text: str,
    *,
    name: str = "<text>",
    format: str | None = None,
    base_dir: Path | None = None,
    overrides: Sequence[str] = (),
    unset: Sequence[str] = (),
) -> Resolved:
    """Check a text; without a format it is guessed."""
    return as_meant(
        resolve(
            text,
            format=format or guess_format(text),
            name=name,
            base_dir=base_dir,
            overrides=overrides,
            unset=unset,
        )
    )


def fix_file(path: Path) -> tuple[str, str, list[Finding]]:
    """Old text, mended text and what was mended (TOML only; nothing is written).

    Mending one problem can uncover the next, so it goes on until nothing changes; the
    environment is left out, because what it sets cannot be mended in the file.
    """
    from trainer.config.fix import fix_text  # tomlkit is slow to import; linting does without

    old = path.read_text(encoding="utf-8")
    if FORMATS.get(path.suffix.lower(), "toml") != "toml":
        return old, old, []
    text, applied = old, []
    for _ in range(MAX_ROUNDS):
        found = resolve(text, name=str(path), base_dir=path.resolve().parent, env={}).findings
        new, done = fix_text(text, found)
        if new == text:
            break
        text, applied = new, applied + done
    return old, text, applied


def as_meant(resolved: Resolved, *, preset: bool = False) -> Resolved:
    """Without the findings that a preset, or the mere name of one, does not deserve."""
    document = resolved.document
    if document is not None and (preset or is_preset(document) or _only_names_one(document)):
        resolved.findings = [f for f in resolved.findings if f.code not in LEFT_OPEN]
    return resolved


def _only_names_one(document: Document) -> bool:
    """`preset = "…"` and nothing else: the question is about the preset."""
    return base_of(document) is not None and document.data.keys() == {"preset"}
