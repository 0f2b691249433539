"""The keys of a source, and what became of each of them.

A key is settled once; whoever settles it first is right. That every key is settled in the end is
checked by the importer, so that none can be lost on the way.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from trainer.config.importers.report import KeyRecord, Status


@dataclass(frozen=True, slots=True)
class Item:
    """A key as the source writes it, the name that its program knows it by, its value and place.

    `weak` items are old spellings: they give way to the present one.
    """

    key: str
    name: str
    value: Any
    where: str = ""
    weak: bool = False
    note: str = ""


class Ledger:
    """Source items in their order; of several with one name the last one counts."""

    def __init__(self, items: Iterable[Item]) -> None:
        self._items = list(items)
        self._records: list[KeyRecord | None] = [None] * len(self._items)
        self._by_name: dict[str, int] = {}
        for index, item in enumerate(self._items):
            self._enter(index, item)

    def _enter(self, index: int, item: Item) -> None:
        other = self._by_name.get(item.name)
        if other is None:
            self._by_name[item.name] = index
        elif item.weak and not self._items[other].weak:
            self._put(index, "ignored", note=f"{self._items[other].key} is set, which counts")
        else:
            self._put(other, "ignored", note=f"set again as {item.key}, which counts")
            self._by_name[item.name] = index

    def item(self, name: str) -> Item | None:
        index = self._by_name.get(name)
        return None if index is None else self._items[index]

    def value(self, name: str, default: Any = None) -> Any:
        """The value of a name that is given, else the default."""
        item = self.item(name)
        return default if item is None else item.value

    def given(self, name: str) -> bool:
        return name in self._by_name

    def is_open(self, name: str) -> bool:
        """Whether the name is given and nothing became of it yet."""
        index = self._by_name.get(name)
        return index is not None and self._records[index] is None

    def where(self, name: str) -> str:
        item = self.item(name)
        return item.where if item else ""

    def items(self) -> list[Item]:
        """All items, in the order of the source."""
        return list(self._items)

    def names(self) -> list[str]:
        return list(self._by_name)

    def open_names(self) -> list[str]:
        return [name for name in self._by_name if self.is_open(name)]

    def settle(self, name: str, status: Status, to: str = "", note: str = "") -> None:
        """Say what became of a name; no effect when it is not given or settled already."""
        index = self._by_name.get(name)
        if index is not None and self._records[index] is None:
            self._put(index, status, to, note)

    def mapped(self, name: str, to: str, note: str = "") -> None:
        self.settle(name, "mapped", to, note)

    def approximated(self, name: str, to: str, note: str) -> None:
        self.settle(name, "approximated", to, note)

    def unsupported(self, name: str, note: str, to: str = "") -> None:
        self.settle(name, "unsupported", to, note)

    def ignored(self, name: str, note: str) -> None:
        self.settle(name, "ignored", "", note)

    def _put(self, index: int, status: Status, to: str = "", note: str = "") -> None:
        item = self._items[index]
        notes = "; ".join(n for n in (note, item.note) if n)
        self._records[index] = KeyRecord(item.key, status, to, notes, item.where)

    def records(self) -> list[KeyRecord]:
        """A record of every source key, in the order of the source."""
        open_keys = [i.key for i, r in zip(self._items, self._records, strict=True) if r is None]
        assert not open_keys, f"keys without an outcome: {open_keys}"
        return [r for r in self._records if r is not None]
