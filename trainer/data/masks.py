"""From a mask picture to the weights of a latent."""

from __future__ import annotations

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from trainer.data.bad import BadSample
from trainer.data.item import Item
from trainer.data.pixels import read_picture


def latent_mask(item: Item, factor: int) -> Tensor:
    """uint8 [1, h, w]: the mask cut as its sample and made smaller by `factor`."""
    try:
        with item.open() as file:
            picture = read_picture(file, "000000").getchannel(0)
    except OSError as error:
        raise BadSample(error.strerror or str(error), lasting=False) from error
    placement = item.placement
    if picture.size != placement.resize:
        picture = picture.resize(placement.resize, Image.Resampling.BOX)
    width, height = placement.target[0] // factor, placement.target[1] // factor
    small = picture.crop(placement.box).resize((width, height), Image.Resampling.BOX)
    return torch.from_numpy(np.array(small))[None]
