"""One sample, or one partner of a sample: everything that reading and encoding it needs."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b
from typing import BinaryIO

from trainer.cache.keys import KEY_BYTES
from trainer.data.bad import BadSample
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


def read_checked(item: Item) -> bytes:
    """All bytes of a sample; BadSample when it cannot be read now, or is not the one that was
    indexed: its latent would be kept under the name of another."""
    try:
        with item.open() as file:
            data = file.read()
    except OSError as error:
        raise BadSample(error.strerror or str(error), lasting=False) from error
    if item.source.hashed and blake2b(data, digest_size=KEY_BYTES).digest() != item.content:
        raise BadSample("it was replaced since it was indexed", lasting=False)
    return data
