"""What a denoiser is told beside noise and time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True, slots=True)
class Condition:
    """All of one batch, on the training device.

    `text` is as the family collates it; `sizes` [B, 6] holds original height and width, crop top
    and left, target height and width in pixels; `references` are normalised latents
    [B, C, h', w'] of the pictures that the family looks at, in the order of the dataset, or their
    pixels [B, 3, H, W], uint8, for a control net that looks at those;
    `image_embeds` [B, ...] are what the family's image encoder says of a picture, zeros where it
    is not told.
    """

    text: Mapping[str, Tensor]
    sizes: Tensor
    references: tuple[Tensor, ...] = ()
    image_embeds: Tensor | None = None
