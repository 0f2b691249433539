"""One sample, or one partner of a sample: everything that reading and encoding it needs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any, BinaryIO

from trainer.cache.keys import KEY_BYTES
from trainer.config.schema.media import AudioConfig
from trainer.data.bad import BadSample
from trainer.data.dataset import Made, Role
from trainer.data.geometry import Placement
from trainer.data.probe import Facts
from trainer.data.sources.base import Kind, Source

NOWHERE = Placement((0, 0), (0, 0), 0, 0)  # of what has no picture


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
    clip: tuple[int, ...] = ()  # numbers of the frames taken of a film
    span: tuple[float, float] | None = None  # start and length in seconds taken of a recording
    audio: AudioConfig = field(default_factory=AudioConfig)
    made: Made | None = None
    options: Mapping[str, Any] = field(default_factory=dict)  # of a mask
    partners: tuple[Item, ...] = ()
    drops_caption: bool = False  # at times it is shown without one

    @property
    def width(self) -> int:
        return self.facts.width

    @property
    def height(self) -> int:
        return self.facts.height

    @property
    def references(self) -> tuple[Item, ...]:
        """The pictures that it is made from."""
        return tuple(partner for partner in self.partners if partner.role != "mask")

    @property
    def shape(self) -> tuple[float, ...]:
        """Items of one shape can share a batch: width, height, frames, seconds."""
        frames = 1 if self.made and self.made.generator == "first_frame" else len(self.clip)
        return (*self.placement.target, frames, self.span[1] if self.span else 0.0)

    @property
    def extra(self) -> tuple[object, ...]:
        """What shapes it besides placement and background; empty for a plain picture."""
        parts: dict[str, object] = {
            "made": self.made and self.made.identity,
            "frames": self.clip,
            "span": self.span and (*self.span, self.audio.rate, self.audio.channels),
            "options": sorted(self.options.items()),
        }
        return tuple((name, value) for name, value in parts.items() if value)

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
