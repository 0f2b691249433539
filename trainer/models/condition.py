"""What a denoiser is told beside noise and time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from torch import Tensor

HOST = frozenset({"lengths"})  # of a text: what the host reads, so that it never waits for it


@dataclass(frozen=True, slots=True)
class Condition:
    """All of one batch, on the training device.

    `text` is as the family collates it; `sizes` [B, 6] holds original height and width, crop top
    and left, target height and width in pixels; `references` are normalised latents
    [B, C, h', w'] of the pictures that the family looks at, in the order of the dataset, or their
    pixels [B, 3, H, W], uint8, for a control net that looks at those;
    `image_embeds` [B, ...] are what the family's image encoder says of a picture, zeros where it
    is not told; `reference_levels` [B] says how noisy the references were made, for families that
    are told.
    """

    text: Mapping[str, Tensor]
    sizes: Tensor
    references: tuple[Tensor, ...] = ()
    image_embeds: Tensor | None = None
    reference_levels: Tensor | None = None


def moved(text: Mapping[str, Tensor], move: Callable[[Tensor], Tensor]) -> dict[str, Tensor]:
    """A collated text after `move`, but for what stays with the host."""
    return {key: value if key in HOST else move(value) for key, value in text.items()}
