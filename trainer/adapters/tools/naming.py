"""What the layers of a file are called in diffusers' model, found without a model.

A name that fits an entry of the family's tables is certain. Behind underscores, a name that no
table knows is divided into words that other names have; when that can be done in two equally short
ways, or in none, it is reported instead of being guessed.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from trainer.adapters.keys.names import (
    comfyui_names,
    diffusers_names,
    original_names,
    text_encoder_names,
)
from trainer.adapters.keys.table import Rows, Table
from trainer.adapters.keys.templates import TEXT_ENCODER, templates
from trainer.adapters.tools.keys import Key
from trainer.adapters.tools.record import DENOISER


@dataclass(frozen=True, slots=True)
class Named:
    """The layers that a name means, in which way, and by which table."""

    ours: tuple[str, ...]
    rows: Rows = Rows.SAME
    table: str = "diffusers"  # or comfyui, original, words, file (as it stands there)
    theirs: str = ""  # the name with its dots


def resolve(key: Key, families: Sequence[str]) -> list[Named]:
    """One meaning, several (ambiguous, or another one for each family), or none (unknown)."""
    found: dict[tuple[tuple[str, ...], Rows], Named] = {}
    for tables in _tables(key, families):
        for table, name in tables:
            if matches := table.read(key.layer, flat=key.flat):
                for m in matches:
                    found.setdefault((m.ours, m.rows), Named(m.ours, m.rows, name, m.theirs))
                break
    if found:
        return list(found.values())
    if not key.flat:
        return [Named((key.layer,), table="file", theirs=key.layer)]
    one = families[0] if len(families) == 1 else None
    known = TEXT_ENCODER if key.component != DENOISER else templates(one)
    return [Named((n,), table="words", theirs=n) for n in divided(key.layer, _words(known))]


def _tables(key: Key, families: Sequence[str]) -> list[list[tuple[Table, str]]]:
    """For each family, where to look first, second and third."""
    if key.component != DENOISER:
        return [[(text_encoder_names(), "diffusers")]]
    if not families:
        return [[(diffusers_names(None), "diffusers")]]
    found = []
    for family in families:
        tables = [(diffusers_names(family), "diffusers"), (comfyui_names(family), "comfyui")]
        original = original_names(family)
        found.append(tables + ([] if original is None else [(original, "original")]))
    return found


@cache
def _words(names: tuple[str, ...]) -> frozenset[str]:
    return frozenset(word for name in names for word in name.split(".") if word != "{}")


def divided(flat: str, words: frozenset[str]) -> list[str]:
    """All ways with the fewest words, numbers being words; longest words are fewest words."""
    pieces = flat.split("_")
    best: list[list[str]] = [[] for _ in pieces] + [[""]]
    fewest = [0 for _ in pieces] + [0]
    for start in reversed(range(len(pieces))):
        options: dict[int, list[str]] = {}
        for end in range(start + 1, len(pieces) + 1):
            word = "_".join(pieces[start:end])
            if not best[end] or not (word in words or re.fullmatch(r"\d+", word)):
                continue
            rest = [f"{word}.{tail}" if tail else word for tail in best[end]]
            options.setdefault(fewest[end] + 1, []).extend(rest)
        if options:
            fewest[start] = min(options)
            best[start] = options[fewest[start]]
    return best[0]
