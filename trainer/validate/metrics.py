"""Style distance: how far a set of pictures is from a folder of reference pictures.

The features are those of the model's own autoencoder, so nothing more has to be loaded. Their
Gram matrix forgets where things are and keeps which textures go together (Gatys et al. 2016,
"Image Style Transfer Using Convolutional Neural Networks"). Two changes make it steady on a few
pictures: the spatial mean is taken off first and the matrix is scaled to length one, since mean
and length mostly tell how much of a picture is background. 0 is the same style; compare numbers
only between sets that show the same things.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from trainer.data.bad import BadSample
from trainer.data.pixels import read_picture
from trainer.data.sources.local import Folder
from trainer.errors import DataError
from trainer.findings import finding

MAX_REFERENCES = 64  # more do not move the mean, and each is encoded at every measurement
CHUNK = 8  # pictures encoded together


def gram(features: Tensor) -> Tensor:
    """Centred Gram matrices of length one: [B, C, h, w] or [B, C, 1, h, w] -> [B, C, C]."""
    flat = features.float().flatten(2)
    flat = flat - flat.mean(2, keepdim=True)
    matrices = flat @ flat.transpose(1, 2)
    return torch.nn.functional.normalize(matrices.flatten(1), dim=1).view_as(matrices)


def gram_distance(pictures: Sequence[Tensor], reference: Sequence[Tensor]) -> float:
    """Between two results of `style_of`: mean over layers of |a - b| / |b|, b the reference."""
    layers = [(a - b).norm() / b.norm() for a, b in zip(pictures, reference, strict=True)]
    return torch.stack(layers).mean().item()


@torch.no_grad()
def encoder_features(vae: Any, pixels: Tensor) -> list[Tensor]:
    """Outputs of the encoder's first convolution and of each of its levels."""
    seen: list[Tensor] = []
    encoder = getattr(vae, "encoder", vae)  # it may be nothing but an encoder
    layers = getattr(vae, "style_layers", None) or [encoder.conv_in, *encoder.down_blocks]
    hooks = [layer.register_forward_hook(lambda _m, _i, out: seen.append(out)) for layer in layers]
    if next(layers[0].parameters()).ndim == 5:  # an autoencoder of films
        pixels = pixels[:, :, None]
    try:
        encoder(pixels.to(vae.device, vae.dtype))
    finally:
        for hook in hooks:
            hook.remove()
    return seen


def style_of(vae: Any, pictures: Sequence[Image.Image], size: tuple[int, int]) -> list[Tensor]:
    """Mean Gram matrix a layer over the pictures, all brought to `size` first."""
    total: list[Tensor] = []
    for chunk in _chunks(pictures):
        sums = [gram(f).sum(0).cpu() for f in encoder_features(vae, _pixels(chunk, size))]
        total = [a + b for a, b in zip(total, sums, strict=True)] if total else sums
    return [t / len(pictures) for t in total]


def _chunks(pictures: Sequence[Image.Image]) -> Iterator[Sequence[Image.Image]]:
    for start in range(0, len(pictures), CHUNK):
        yield pictures[start : start + CHUNK]


def _pixels(pictures: Sequence[Image.Image], size: tuple[int, int]) -> Tensor:
    """[B, 3, H, W] in -1..1; the middle of each picture in the shape of `size`."""
    rows = [np.asarray(_cover(picture, size), dtype=np.float32) for picture in pictures]
    return torch.from_numpy(np.stack(rows)).permute(0, 3, 1, 2) / 127.5 - 1.0


def _cover(picture: Image.Image, size: tuple[int, int]) -> Image.Image:
    width, height = size
    scale = max(width / picture.width, height / picture.height)
    wide, high = round(picture.width * scale), round(picture.height * scale)
    if picture.size != (wide, high):
        picture = picture.resize((wide, high), Image.Resampling.LANCZOS)
    left, top = (wide - width) // 2, (high - height) // 2
    return picture.crop((left, top, left + width, top + height))


def references(folder: Path, background: str) -> list[Image.Image]:
    """Readable pictures of the folder, evenly thinned to `MAX_REFERENCES`."""
    paths = [folder / found.relpath for found in Folder(folder, "image", None).listing()]
    stride = max(1, -(-len(paths) // MAX_REFERENCES))
    pictures = []
    for path in paths[::stride]:
        try:
            pictures.append(read_picture(path, background))
        except BadSample:
            continue  # a reference more or less does not matter
    if pictures:
        return pictures
    raise DataError(
        finding(
            "DAT002",
            f"{folder} has no readable picture",
            where="eval.style_reference",
            why="the style distance is measured against these pictures",
            fix="name a folder of pictures in the style that is trained",
        )
    )
