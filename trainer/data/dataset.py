"""A dataset with all its settings filled in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from trainer.config.schema.captions import CaptionConfig
from trainer.config.schema.media import AudioConfig, VideoConfig
from trainer.data.captions import name_as_text, variants
from trainer.data.course import Leftover
from trainer.data.geometry import GeometrySpec
from trainer.data.overlay import Overlay
from trainer.data.sources.base import Kind, Source

Role = Literal["train", "eval", "prior", "conditioning", "mask"]
PARTNERS: frozenset[Role] = frozenset({"conditioning", "mask"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """How a partner is made from its sample."""

    generator: str
    identity: str  # of generator, version and options: part of cache keys
    seed: int = 0
    options: Mapping[str, Any] = field(default_factory=dict, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class PartnerSpec:
    """One partner of every sample: of the dataset `dataset`, or made."""

    dataset: str | None = None
    made: Made | None = None
    options: Mapping[str, Any] = field(default_factory=dict)  # of a mask
    strict: bool = True  # cut exactly as the sample


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """Where samples lie and what becomes of them."""

    id: str
    source: Source
    geometry: GeometrySpec
    caption: CaptionConfig
    missing_caption: Literal["fail", "skip", "filename", "empty"]
    background: str
    seed: int  # of random crops
    kind: Kind = "image"
    role: Role = "train"
    repeats: int = 1
    batch_size: int | None = None
    slider: float | None = None
    timestep_offset: float = 0.0
    leftover: Leftover = "carry"
    max_samples: int | None = None
    crops: int = 1  # placements that are cached of each sample
    video: VideoConfig = field(default_factory=VideoConfig)
    audio: AudioConfig = field(default_factory=AudioConfig)
    frame_rule: tuple[int, int] = (1, 0)  # clips have second + k x first frames
    partners: tuple[PartnerSpec, ...] = ()
    suffix: str | None = None  # of partners that lie beside their samples
    overlay: Overlay = field(default_factory=Overlay)

    def captions(self, relpath: str, stored: str | None) -> tuple[str, ...]:
        """Caption variants of a sample, with the fallback for those without; may be empty."""
        if self.role in PARTNERS:
            return ("",)
        texts = variants(relpath, stored, self.caption)
        if texts or self.missing_caption in ("fail", "skip"):
            return texts
        return ("",) if self.missing_caption == "empty" else (name_as_text(relpath),)
