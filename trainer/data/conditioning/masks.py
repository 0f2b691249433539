"""Masks: from a picture of any kind to how much each latent pixel of its sample counts.

A mask goes where its sample goes: the same part is cut, and each latent pixel gets the mean of the
area that it stands for. White counts, black does not, grey counts in part.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from trainer.catalog.generators import MASK_OPTIONS, filled
from trainer.data.bad import BadSample
from trainer.data.geometry import Placement
from trainer.data.pixels import read_picture

Size = tuple[int, int]  # width, height


def read_mask(file: BinaryIO | Path | str) -> Image.Image:
    """The mask, upright, RGB. What is transparent does not count, so it becomes black."""
    return read_picture(file, "000000")


def mask_to_latent(
    mask: Image.Image,
    sample_size: Size,
    placement: Placement,
    latent_size: Size,
    options: Mapping[str, Any] | None = None,
) -> Tensor:
    """uint8 [1, h, w], 255 where all of a latent pixel counts.

    `sample_size` is that of the whole, upright sample. A mask of another size must have its shape;
    BadSample otherwise. `options` are those of `MASK_OPTIONS`.
    """
    if not same_shape(mask.size, sample_size):
        raise BadSample(
            f"the mask has {mask.width} x {mask.height} pixels, which is another shape than the "
            f"{sample_size[0]} x {sample_size[1]} of its sample"
        )
    settings = filled(MASK_OPTIONS, options or {})
    grey = counted(mask, segmentation=settings["segmentation"])
    if settings["invert"]:
        grey = grey.point(lambda value: 255 - value)
    return _boxed(grey, _box(mask.size, placement), latent_size)


def generated_to_latent(mask: Image.Image, latent_size: Size) -> Tensor:
    """The same for a mask that was made from the cut sample, uint8 [1, h, w]."""
    return _boxed(counted(mask, segmentation=False), (0.0, 0.0, *mask.size), latent_size)


def same_shape(mask: Size, sample: Size) -> bool:
    """Whether one is the other scaled, up to the rounding of one side to whole pixels."""
    return abs(mask[0] * sample[1] - mask[1] * sample[0]) <= max(sample)


def counted(mask: Image.Image, *, segmentation: bool) -> Image.Image:
    """One channel: the first, or for a segmentation 255 wherever any channel is above 0."""
    if segmentation:
        any_colour = np.asarray(mask.convert("RGB")).any(axis=2)
        return Image.fromarray(np.where(any_colour, np.uint8(255), np.uint8(0)))
    return mask if mask.mode == "L" else mask.convert("RGB").getchannel(0)


def _box(size: Size, placement: Placement) -> tuple[float, float, float, float]:
    """The crop box in the mask's own pixels, which may be fractions of them."""
    across, down = size[0] / placement.resize[0], size[1] / placement.resize[1]
    left, top, right, bottom = placement.box
    return (
        left * across,
        top * down,
        min(right * across, float(size[0])),  # a last bit beyond the border would be refused
        min(bottom * down, float(size[1])),
    )


def _boxed(grey: Image.Image, box: tuple[float, ...], latent_size: Size) -> Tensor:
    small = grey.resize(latent_size, Image.Resampling.BOX, box=box)  # type: ignore[arg-type]
    return torch.from_numpy(np.array(small)).unsqueeze(0)


def combined(masks: Sequence[Tensor]) -> Tensor:
    """Several masks of one sample, uint8 [1, h, w]: what all of them keep."""
    found = masks[0].int()
    for mask in masks[1:]:
        found = (found * mask.int() + 127) // 255
    return found.to(torch.uint8)


def stacked(masks: Sequence[Tensor]) -> Tensor:
    """Masks of a batch as the step takes them: float [B, 1, h, w] in 0..1."""
    return torch.stack(list(masks)).float().div_(255.0)
