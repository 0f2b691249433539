"""From a mask picture to the weights of a latent."""

from __future__ import annotations

import io

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from trainer.data.item import Item, read_checked
from trainer.data.pixels import read_picture


def latent_mask(item: Item, factor: int) -> Tensor:
    """uint8 [1, h, w]: the mask cut as its sample and made smaller by `factor`."""
    picture = read_picture(io.BytesIO(read_checked(item)), "000000").getchannel(0)
    placement = item.placement
    if picture.size != placement.resize:
        picture = picture.resize(placement.resize, Image.Resampling.BOX)
    width, height = placement.target[0] // factor, placement.target[1] // factor
    small = picture.crop(placement.box).resize((width, height), Image.Resampling.BOX)
    return torch.from_numpy(np.array(small))[None]
