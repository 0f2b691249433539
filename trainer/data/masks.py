"""From a mask, of a dataset or made, to the weights of a latent."""

from __future__ import annotations

import io
from fractions import Fraction

from torch import Tensor

from trainer.data.conditioning.generate import partner_seed
from trainer.data.conditioning.masks import mask_to_latent, read_mask
from trainer.data.geometry import Placement
from trainer.data.item import Item, read_checked
from trainer.data.media import MediaReader, cut, whole_picture


def latent_mask(item: Item, factor: int | Fraction, reader: MediaReader) -> Tensor:
    """uint8 [1, h, w]: the mask cut as its sample, made smaller by `factor`."""
    width, height = item.placement.target
    size = (width // factor, height // factor)
    if item.made is not None:
        seed = partner_seed(item.made.seed, item.content, item.made.generator)
        mask = reader.generator(item)(cut(whole_picture(item), item), seed)
        whole = Placement((width, height), (width, height), 0, 0)
        return mask_to_latent(mask, whole, size)
    mask = read_mask(io.BytesIO(read_checked(item)))
    return mask_to_latent(mask, item.placement, size, **item.options)
