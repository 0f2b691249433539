"""What validation asks a pipeline for."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from PIL.Image import Image
from torch import Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageRequest:
    """One validation picture; sizes in pixels."""

    width: int
    height: int
    steps: int
    guidance: float
    generator: torch.Generator
    output_type: str = "pil"
    pictures: tuple[Image, ...] = ()  # to edit, of about the size asked for
    references: tuple[Tensor, ...] = ()  # latents [1, C, h, w], as a `Condition` has them
    picture: Tensor | None = None  # latents [1, C, h, w] to begin from, where not from noise
    handed: Tensor | None = None  # what the expert of higher noise levels left, in its own scale
    control_scale: float = 1.0  # how strongly a control net acts
