"""Masks: from a picture of any kind to how much each latent pixel of its sample counts.

A mask goes where its sample goes: the same part is cut, and each latent pixel gets the mean of the
area that it stands for. White counts, black does not, grey counts in part.
"""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from trainer.data.geometry import Placement
from trainer.data.pixels import read_picture

Size = tuple[int, int]  # width, height


def read_mask(file: BinaryIO | Path | str) -> Image.Image:
    """The mask, upright, RGB. What is transparent does not count, so it becomes black."""
    return read_picture(file, "000000")


def mask_to_latent(
    mask: Image.Image,
    placement: Placement,
    latent_size: Size,
    *,
    segmentation: bool = False,
    invert: bool = False,
) -> Tensor:
    """uint8 [1, h, w]: 255 where all of a latent pixel counts, 0 where none of it does.

    `placement` is that of the sample; the mask has the sample's shape, but may be of another size.
    A `segmentation` counts fully wherever any of its channels is above 0; of other masks the first
    channel counts.
    """
    grey = counted(mask, segmentation=segmentation)
    if invert:
        grey = grey.point(lambda value: 255 - value)
    small = grey.resize(latent_size, Image.Resampling.BOX, box=_box(mask.size, placement))
    return torch.from_numpy(np.array(small))[None]


def counted(mask: Image.Image, *, segmentation: bool) -> Image.Image:
    """The channel that counts, mode L."""
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
