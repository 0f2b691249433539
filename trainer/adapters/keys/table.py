"""Two sets of names for the same layers: ours (diffusers') and another program's.

An entry pairs a template of theirs with one of ours, or with several where their layer holds what
diffusers keeps apart (`qkv`). `{}` stands for a number. A name is looked up by its form, all
numbers made alike, and then by the templates of this form, so a thousand entries cost nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum

_NUMBER = re.compile(r"(?<![^._])\d+(?![^._])")


class Rows(StrEnum):
    """How the outputs of their layer are made of ours."""

    SAME = "same"
    EQUAL = "equal"  # parts of equal size, one after the other
    INPUTS = "inputs"  # each part as many outputs as the layer has inputs, the last one the rest
    SWAPPED = "swapped"  # the halves change places


@dataclass(frozen=True, slots=True)
class Entry:
    theirs: str
    ours: tuple[str, ...]
    rows: Rows = Rows.SAME


@dataclass(frozen=True, slots=True)
class Match:
    """An entry with the numbers of one name in it."""

    theirs: str
    ours: tuple[str, ...]
    rows: Rows


def same(theirs: str, ours: str) -> Entry:
    return Entry(theirs, (ours,))


def form(name: str) -> str:
    """The name with all numbers alike, and dots like underscores."""
    return _NUMBER.sub("#", name.replace("{}", "0")).replace(".", "_")


@dataclass(slots=True)
class Table:
    """Entries by the forms of their names."""

    entries: tuple[Entry, ...]
    _theirs: dict[str, list[Entry]] = field(default_factory=dict)
    _ours: dict[str, list[tuple[str, Entry]]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for entry in self.entries:
            self._theirs.setdefault(form(entry.theirs), []).append(entry)
            for ours in entry.ours:
                self._ours.setdefault(form(ours), []).append((ours, entry))

    def read(self, name: str, *, flat: bool = False) -> list[Match]:
        """What their name may mean; more than one match is an ambiguity."""
        found = []
        for entry in self._theirs.get(form(name), ()):
            numbers = _numbers(entry.theirs, name, flat)
            if numbers is not None:
                found.append(_filled(entry, numbers))
        return list(dict.fromkeys(found))

    def write(self, name: str) -> Match | None:
        """Their layer for one of ours; the first entry wins."""
        for ours, entry in self._ours.get(form(name), ()):
            numbers = _numbers(ours, name, flat=False)
            if numbers is not None:
                return _filled(entry, numbers)
        return None


def _numbers(template: str, name: str, flat: bool) -> list[str] | None:
    pattern = re.escape(template.replace(".", "_") if flat else template)
    found = re.fullmatch(pattern.replace(r"\{\}", r"(\d+)"), name)
    return None if found is None else list(found.groups())


def _filled(entry: Entry, numbers: list[str]) -> Match:
    ours = tuple(name.format(*numbers) for name in entry.ours)
    return Match(entry.theirs.format(*numbers), ours, entry.rows)


def identity(names: Iterable[str]) -> Table:
    return Table(tuple(same(name, name) for name in names))
