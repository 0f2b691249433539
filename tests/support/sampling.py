"""Pictures from cached text, and from prompts by a user's own pipeline."""

from __future__ import annotations

from typing import Any

import torch

from trainer.models.request import ImageRequest


def request(
    size: int | tuple[int, int], guidance: float, *, output_type: str = "latent", steps: int = 3
) -> ImageRequest:
    """A small picture from a fixed seed; `size` is width and height."""
    width, height = (size, size) if isinstance(size, int) else size
    return ImageRequest(
        width=width,
        height=height,
        steps=steps,
        guidance=guidance,
        generator=torch.Generator().manual_seed(4),
        output_type=output_type,
    )


def draw(family: Any, text: Any, negative: Any, asked: ImageRequest) -> torch.Tensor:
    """What the family's pipeline returns from cached text."""
    pipe = family.pipeline()
    pipe.set_progress_bar_config(disable=True)
    with torch.no_grad():
        return pipe(**family.pipeline_kwargs(text, negative, asked)).images
