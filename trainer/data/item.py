"""One sample, or one partner of a sample: everything that reading and encoding it needs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import BinaryIO

from trainer.data.dataset import Made, Role
from trainer.data.geometry import Placement
from trainer.data.probe import Facts
from trainer.data.sources.base import Kind, Source


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """A row of a table, worked out. `made` partners are read as their sample and then changed."""

    sample_id: int
    source: Source
    relpath: str
    locator: str
    kind: Kind
    role: Role
    content: bytes  # digest of its bytes
    facts: Facts
    placement: Placement
    background: str
    captions: tuple[str, ...] = ("",)
    made: Made | None = None
    partners: tuple[Item, ...] = ()

    @property
    def width(self) -> int:
        return self.facts.width

    @property
    def height(self) -> int:
        return self.facts.height

    def open(self) -> BinaryIO:
        """Its bytes; OSError when the source refuses."""
        return self.source.open(self.relpath, self.locator)
