"""Verbs about presets: list them, print one, save a job file as one's own.

Local ones by default; with `--host` those of the daemon there, since that is where the job runs.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Any

import typer

from sttui.cli import complete, narrate, output
from sttui.cli.failure import CliError, usage
from sttui.cli.invocation import current
from sttui.cli.source import read_source
from sttui.cli.verb import group, verb
from sttui.format.columns import Column, column

if TYPE_CHECKING:
    from collections.abc import Sequence

GROUP = group("Ready-made job files.")

COLUMNS: Sequence[Column] = (
    column("name"),
    column("family"),
    column("mode"),
    Column(
        "vram",
        lambda p: p["vram_gb"],
        text=lambda p: f"{p['vram_gb']} GB" if p["vram_gb"] else "–",
        right=True,
    ),
    column("title"),
    column("notes", wide=True),
)


def _is_remote() -> bool:
    return bool(current.host or os.environ.get("STUNE_HOST"))


@verb(GROUP)
def ls(family: str | None = typer.Option(None, "--family", help="Only this family.")) -> None:
    """List presets."""
    rows = [p for p in (_remote() if _is_remote() else _local()) if family in (None, p["family"])]
    output.table("presets/1", rows, COLUMNS, id="name")


def _local() -> list[dict[str, Any]]:
    from trainer.config.presets import preset_info, preset_names

    rows = []
    for name in preset_names():
        info = preset_info(name)
        wanted = ("name", "family", "title", "mode", "vram_gb", "notes", "needs_data")
        rows.append({key: getattr(info, key) for key in wanted} | {"path": str(info.path)})
    return rows


def _remote() -> list[dict[str, Any]]:
    from sttui.cli.connect import client

    return [preset.model_dump(mode="json") for preset in client().presets()]


@verb(GROUP)
def show(
    name: str = typer.Argument(
        ..., autocompletion=complete.presets, help="Such as flux/lora-32gb."
    ),
) -> None:
    """Print a preset."""
    if _is_remote():
        from sttui.cli.connect import client

        text = client().preset(name).text
    else:
        from trainer.config.presets import preset_path
        from trainer.errors import ConfigError

        try:
            text = preset_path(name).read_text(encoding="utf-8")
        except ConfigError as error:
            raise CliError(narrate.USAGE, *error.findings) from None
    output.text("preset/1", text, {"name": name, "text": text})


@verb(GROUP)
def save(
    file: str = typer.Argument(..., metavar="FILE", help="Job file to keep."),
    name: str = typer.Argument(..., help="FAMILY/NAME of the new preset."),
    yes: bool = typer.Option(False, "--yes", help="Replace an existing preset without asking."),
) -> None:
    """Keep a job file as a preset of your own."""
    from trainer.config.lint import lint_file
    from trainer.findings import at_or_above
    from trainer.runs.files import write_atomic
    from trainer.runs.homes import config_home

    if not re.fullmatch(r"[a-z0-9][\w.-]*/[a-z0-9][\w.-]*", name):
        raise usage(f"{name!r} is not FAMILY/NAME", fix="write for example flux/my-style")
    source = read_source(file)
    if source.format != "toml":
        raise usage("a preset is a TOML file", fix="convert the job file first", where=file)
    from pathlib import Path

    errors = at_or_above(lint_file(Path(file), preset=True).findings, "error")
    if errors:
        raise CliError(narrate.FINDINGS, *errors)
    target = config_home() / "presets" / f"{name}.toml"
    if target.exists() and not yes and not narrate.confirm(f"replace the preset {name}?"):
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(target, source.text.encode())
    output.text("preset-saved/1", str(target), {"name": name, "path": str(target)})
