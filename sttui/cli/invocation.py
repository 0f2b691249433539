"""The options that every verb understands, as given for this one call of the program.

One mutable record for the whole process: a command line is a single invocation, and the writers
to stdout and stderr need these values wherever they are called from.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

FORMATS = ("table", "wide", "json", "jsonl", "yaml", "csv", "id")


@dataclass(slots=True)
class Invocation:
    """Values of the common options."""

    host: str | None = None
    format: str = "table"
    fields: tuple[str, ...] = ()
    headers: bool = True
    debug: bool = False

    @property
    def machine(self) -> bool:
        """Whether stdout carries one structured document or JSON lines."""
        return self.format in ("json", "jsonl", "yaml")

    def reset(self) -> None:
        fresh = Invocation()
        for item in fields(self):
            setattr(self, item.name, getattr(fresh, item.name))


current = Invocation()
