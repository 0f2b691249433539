"""A column of a table: a machine value and its text, shared by command line and interface."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Column:
    """How one property of a record is shown.

    `value` feeds CSV and JSON, `text` people; `wide` columns appear only with `-o wide`.
    """

    name: str
    value: Callable[[Any], Any]
    text: Callable[[Any], str] | None = None
    wide: bool = False
    right: bool = False
    style: Callable[[Any], str] | None = None

    def shown(self, record: Any) -> str:
        if self.text is not None:
            return self.text(record)
        value = self.value(record)
        return "–" if value is None or value == "" else str(value)


def attr(name: str) -> Callable[[Any], Any]:
    """Getter of a (dotted) attribute or mapping key."""

    def get(record: Any) -> Any:
        for part in name.split("."):
            record = record[part] if isinstance(record, dict) else getattr(record, part)
        return record

    return get


def column(name: str, source: str = "", **options: Any) -> Column:
    """A column that shows attribute `source` (default: `name`) as it is."""
    return Column(name, attr(source or name), **options)
