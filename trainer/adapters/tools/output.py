"""What verbs that write have in common: the family they write for, and the place they write to."""

from __future__ import annotations

from pathlib import Path

from trainer.adapters.tools.problems import unknown_family
from trainer.adapters.tools.record import Adapter
from trainer.errors import DataError
from trainer.findings import finding

SUFFIX = ".safetensors"


def one_family(file: Path, adapter: Adapter) -> str:
    if adapter.family is None:
        raise DataError(unknown_family(str(file), adapter.families))
    return adapter.family


def same_layout(adapter: Adapter) -> str:
    """The layout to write again; the old ones of diffusers are read only."""
    return "diffusers" if adapter.layout == "diffusers-legacy" else adapter.layout


def claim(out: Path, *, force: bool, suffix: str | None = SUFFIX) -> None:
    """Refuse to overwrite unless that was asked for; make the folder."""
    if suffix is not None and out.suffix != suffix:
        raise DataError(
            finding("LOR034", f"{out} is not a {suffix} file", where=str(out), fix="name one")
        )
    if out.exists() and not force:
        raise DataError(
            finding(
                "LOR034",
                f"{out} exists already",
                where=str(out),
                fix="name another file, or overwrite it with --force",
            )
        )
    out.parent.mkdir(parents=True, exist_ok=True)
