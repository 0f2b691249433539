"""Distinct pictures by number: shapes on a shaded ground with a little grain."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

GRAIN = 6.0


def picture(number: int, size: int = 256, *, grain: float = GRAIN) -> Image.Image:
    """Picture `number`, always the same, unlike every other."""
    rng = np.random.default_rng(number)
    down, across = np.mgrid[0:size, 0:size] / size
    pixels = np.zeros((size, size, 3)) + rng.random(3) * 120
    pixels += ((across * rng.normal() + down * rng.normal()) * 60)[..., None]
    for _ in range(rng.integers(4, 12)):
        inside = _shape(rng, across, down)
        pixels[inside] = rng.random(3) * 255 * 0.85 + pixels[inside] * 0.15
    pixels += rng.normal(size=(size, size, 1)) * grain
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


def _shape(
    rng: np.random.Generator, across: NDArray[np.float64], down: NDArray[np.float64]
) -> NDArray[np.bool_]:
    x, y, size = rng.random(), rng.random(), rng.random() * 0.25 + 0.03
    match rng.integers(3):
        case 0:
            return (across - x) ** 2 + (down - y) ** 2 < size * size
        case 1:
            return (abs(across - x) < size) & (abs(down - y) < size * (rng.random() + 0.3))
        case _:
            angle = rng.random() * 2 * np.pi
            along = (across - x) * np.cos(angle) + (down - y) * np.sin(angle)
            return abs(along) < size * 0.4
