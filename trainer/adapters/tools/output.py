"""What verbs that write have in common: the family they write for, and the place they write to."""

from __future__ import annotations

from pathlib import Path

from trainer.adapters.tools.problems import unknown_family
from trainer.adapters.tools.record import Adapter
from trainer.adapters.tools.write import named
from trainer.errors import DataError
from trainer.findings import finding

SUFFIX = ".safetensors"


def one_family(file: Path, adapter: Adapter, layout: str | None = None) -> str:
    """The family to write for; any of several when they have the same names in this layout."""
    if not adapter.families:
        raise DataError(unknown_family(str(file), ()))
    layout = layout or same_layout(adapter)
    first, *rest = (_names(adapter, layout, family) for family in adapter.families)
    if any(names != first for names in rest):
        raise DataError(unknown_family(str(file), adapter.families))
    return adapter.families[0]


def _names(adapter: Adapter, layout: str, family: str) -> list[str] | None:
    """None where the layout cannot be written for the family."""
    if len(adapter.families) == 1:
        return []
    try:
        return sorted(named(adapter, layout, family)[0])
    except DataError:
        return None


def told_family(adapter: Adapter) -> str:
    return " or ".join(adapter.families)


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
