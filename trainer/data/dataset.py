"""A dataset with all its settings filled in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from trainer.config.schema.captions import CaptionConfig
from trainer.data.captions import name_as_text, variants
from trainer.data.course import Leftover
from trainer.data.geometry import GeometrySpec
from trainer.data.sources.base import Kind, Source

Role = Literal["train", "eval", "prior", "conditioning", "mask"]


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
    leftover: Leftover = "carry"
    min_size: int = 1
    max_samples: int | None = None

    def captions(self, relpath: str, stored: str | None) -> tuple[str, ...]:
        """Caption variants of a sample, with the fallback for those without; may be empty."""
        texts = variants(relpath, stored, self.caption)
        if texts or self.missing_caption in ("fail", "skip"):
            return texts
        return ("",) if self.missing_caption == "empty" else (name_as_text(relpath),)
