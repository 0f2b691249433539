"""The verb data lint: remarks on a dataset as a table, as a contact sheet, and as an overlay."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import typer

from sttui.cli import narrate, output
from sttui.cli.config import FAIL_ON
from sttui.cli.dataset import FAMILY, KIND, PLACE, RESOLUTION, question
from sttui.cli.failure import CliError, usage
from sttui.cli.options import SET
from sttui.cli.worker import Document
from sttui.format.columns import Column, column
from sttui.format.findings import STYLES, summary
from trainer.findings import LEVELS, at_or_above

COLUMNS = (
    Column("level", lambda f: f.level, style=lambda f: STYLES[f.level]),
    column("code"),
    Column("samples", lambda f: f.evidence.get("count"), right=True),
    Column("remark", lambda f: f.message),
    column("fix", wide=True),
    column("why", wide=True),
    column("where", wide=True),
)
FILES = (column("code"), column("dataset"), column("path"), column("detail"), column("other"))


def lint(
    place: str = PLACE,
    set_: list[str] = SET,
    family: str | None = FAMILY,
    resolution: str | None = RESOLUTION,
    kind: str = KIND,
    trigger: str | None = typer.Option(
        None, "--trigger", metavar="WORD", help="Word every caption must hold; else it is guessed."
    ),
    files: bool = typer.Option(False, "--files", help="List every sample, not one line a remark."),
    sheet: Path | None = typer.Option(
        None, "--sheet", metavar="FILE.png", help="Write a contact sheet of what was found."
    ),
    fix: bool = typer.Option(
        False, "--fix", help="Write an overlay that leaves out damaged files and copies."
    ),
    exclude: list[str] = typer.Option(
        [], "--exclude", metavar="CODE", help="Leave these out as well, as DAT078; writes, too."
    ),
    overlay: Path | None = typer.Option(
        None, "--overlay", metavar="FILE", help="Where; a folder when there are several datasets."
    ),
    fail_on: str = FAIL_ON,
) -> None:
    """Check a dataset: files, copies, quality, shapes, captions, pairs.

    Each picture is decoded once and remembered, so a second call is quick. The dataset itself is
    never changed. Exit code 1 when there is a remark at or above --fail-on.
    """
    if fail_on not in LEVELS:
        raise usage(f"--fail-on {fail_on!r} is not a level", fix=f"use one of {', '.join(LEVELS)}")
    if overlay is not None and not (fix or exclude):
        raise usage("--overlay has no effect alone", fix="add --fix, or --exclude CODE")
    more: list[str] = ["--fix"] if fix else []
    for name, value in (("--trigger", trigger), ("--sheet", sheet), ("--overlay", overlay)):
        more += [name, str(value)] if value is not None else []
    for code in exclude:
        more += ["--exclude", code]
    found = question("lint", place, set_, family, resolution, kind, *more)
    _show(found, files)
    if at_or_above(list(found.findings), fail_on):  # type: ignore[arg-type]
        raise CliError(narrate.FINDINGS)


def _show(found: Document, files: bool) -> None:
    if output.current.machine:
        output.document(found.schema, found.data, findings=found.findings)
        return
    if files:
        output.table(found.schema, found.data["files"], FILES, id="path")
    elif found.findings or not output.for_people():
        output.table(found.schema, found.findings, COLUMNS, id="code")
    if not output.for_people():
        return
    shown = "\n".join(found.data["epoch"]["shown"])
    output.raw(f"{chr(10) if found.findings else ''}{shown}\n")
    narrate.say(summary(found.findings), "" if found.findings else "green")
    if found.findings and not files:
        narrate.say("reasons and remedies: -o wide, or stune explain CODE; names: --files", "dim")
    for written in found.data["overlays"]:
        _tell_overlay(written)
    if found.data["sheet"]:
        narrate.say(f"contact sheet: {found.data['sheet']}")


def _tell_overlay(written: dict[str, Any]) -> None:
    counts = f"{written['excluded']} left out, {written['captions']} captions replaced"
    narrate.say(f"overlay of {written['dataset']}: {written['path']} ({counts})")
    if not written["in_use"]:
        narrate.say(f'  use it: overlay = "{written["path"]}" in the dataset {written["dataset"]}')
