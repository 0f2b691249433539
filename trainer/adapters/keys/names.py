"""The tables of names of each family: diffusers', ComfyUI's, and those of the original model.

The original names are what kohya's files and the vendors' own carry. A family whose diffusers model
kept them has no table of its own here: then they are ComfyUI's.
"""

from __future__ import annotations

from functools import cache

from trainer.adapters.keys import flux, sd3, unet
from trainer.adapters.keys.table import Entry, Table, identity, same
from trainer.adapters.keys.templates import TEXT_ENCODER, all_templates, templates
from trainer.adapters.layouts import renamed
from trainer.catalog import family_facts

_TABLES: dict[str, tuple[Entry, ...]] = {
    "flux": flux.ENTRIES,
    "chroma": flux.ENTRIES,
    "sd3": sd3.ENTRIES,
}
_UNETS = {"sd1x": False, "sd2x": False, "sdxl": True}  # attention on the deepest way up
# Families whose original names differ from diffusers', and are not known here.
_UNKNOWN = {"auraflow", "pixart", "longcat_image", "kandinsky5_image", "cogview4"}


@cache
def diffusers_names(family: str | None) -> Table:
    return identity(templates(family))


@cache
def comfyui_names(family: str) -> Table:
    facts = family_facts(family)
    return Table(tuple(same(renamed(n, facts.comfyui_names), n) for n in templates(family)))


@cache
def original_names(family: str) -> Table | None:
    """None where they are not known."""
    if family in _UNETS:
        found = unet.entries(templates(family), attention_first=_UNETS[family])
        return Table(found)
    if family in _TABLES:
        return Table(_TABLES[family])
    return None if family in _UNKNOWN else comfyui_names(family)


@cache
def text_encoder_names() -> Table:
    return identity(TEXT_ENCODER)


@cache
def readable(family: str) -> tuple[Table, ...]:
    """All tables by which a file of the family may name its layers, ours first."""
    tables = [diffusers_names(family), comfyui_names(family), original_names(family)]
    return tuple(table for table in tables if table is not None)


def families() -> list[str]:
    return list(all_templates())
