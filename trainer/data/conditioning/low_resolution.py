"""What a small or bad copy of the picture shows: made smaller, blurred, noisy, compressed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from PIL import Image, ImageFilter

from trainer.data.conditioning.jpeg import compressed

BILINEAR = Image.Resampling.BILINEAR
HALF = 0.7  # of the radius for each of two blurs, about the width of one


def low_resolution(picture: Image.Image, options: Mapping[str, Any], seed: int) -> Image.Image:
    """The damaged picture, RGB and of the same size."""
    picture = shrunk(picture.convert("RGB"), options["downscale_factor"])
    picture = blurred(picture, options["blur_type"], options["blur_radius"])
    if options["noise_level"]:
        picture = noisy(picture, options["noise_level"], seed)
    quality = options["jpeg_quality"]
    return picture if quality is None else compressed(picture, quality)


def shrunk(picture: Image.Image, factor: float) -> Image.Image:
    if factor == 1:
        return picture
    width, height = (max(1, int(side / factor)) for side in picture.size)
    return picture.resize((width, height), BILINEAR).resize(picture.size, BILINEAR)


def blurred(picture: Image.Image, kind: str, radius: float) -> Image.Image:
    if not radius:
        return picture
    if kind == "both":
        picture, kind, radius = blurred(picture, "box", radius * HALF), "gaussian", radius * HALF
    blur = ImageFilter.GaussianBlur if kind == "gaussian" else ImageFilter.BoxBlur
    return picture.filter(blur(radius))


def noisy(picture: Image.Image, level: float, seed: int) -> Image.Image:
    """Normal noise on each value; `level` is its standard deviation as a share of white."""
    pixels = np.asarray(picture, dtype=np.float32)
    noise = np.random.Generator(np.random.PCG64(seed)).standard_normal(pixels.shape, np.float32)
    return Image.fromarray((pixels + noise * (255.0 * level)).round().clip(0, 255).astype(np.uint8))
