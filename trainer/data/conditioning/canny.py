"""Edges after Canny (1986): gradient, its ridges, and ridges that hang together with a strong one.

Written out in numpy: the two libraries that have it are a hundred times the size of this file, and
one of them would come with its own image codecs. Sobel kernels, the sum |dx| + |dy| as magnitude
and the rules at ties are OpenCV's, so with `blur` 0 the picture is the one that most preprocessors
for control models make, to the pixel.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

Ints = NDArray[np.int32]
Flags = NDArray[np.bool_]

TAN_22 = 13573  # tan 22.5° in units of 2^-15


def canny(picture: Image.Image, options: Mapping[str, Any], seed: int) -> Image.Image:
    """White edges on black, RGB; `low` and `high` are limits of |dx| + |dy|."""
    grey = picture.convert("L")
    if options["blur"]:
        grey = grey.filter(ImageFilter.GaussianBlur(options["blur"]))
    dx, dy = sobel(np.asarray(grey, dtype=np.int32))
    magnitude = np.abs(dx) + np.abs(dy)
    ridge = ridges(dx, dy, magnitude)
    low, high = np.floor(options["low"]), np.floor(options["high"])
    edges = connected(ridge & (magnitude > high), ridge & (magnitude > low))
    return Image.fromarray(np.where(edges, np.uint8(255), np.uint8(0))).convert("RGB")


def sobel(grey: Ints) -> tuple[Ints, Ints]:
    """Derivatives to the right and downwards; beyond the border the picture goes on as it ends."""
    padded = np.pad(grey, 1, mode="edge")
    smooth_y = padded[:-2] + 2 * padded[1:-1] + padded[2:]
    smooth_x = padded[:, :-2] + 2 * padded[:, 1:-1] + padded[:, 2:]
    return smooth_y[:, 2:] - smooth_y[:, :-2], smooth_x[2:] - smooth_x[:-2]


def ridges(dx: Ints, dy: Ints, magnitude: Ints) -> Flags:
    """Pixels greater than both neighbours across the edge; one of two equal ones is kept."""
    around = np.pad(magnitude, 1)
    rows, columns = magnitude.shape

    def shifted(down: int, right: int) -> Ints:
        return around[1 + down : 1 + down + rows, 1 + right : 1 + right + columns]

    x, y = np.abs(dx).astype(np.int64), np.abs(dy).astype(np.int64) << 15
    flat = x * TAN_22
    level, steep = y < flat, y > flat + (x << 16)
    across = (magnitude > shifted(0, -1)) & (magnitude >= shifted(0, 1))
    upright = (magnitude > shifted(-1, 0)) & (magnitude >= shifted(1, 0))
    falling = (magnitude > shifted(-1, -1)) & (magnitude > shifted(1, 1))
    rising = (magnitude > shifted(-1, 1)) & (magnitude > shifted(1, -1))
    diagonal = np.where((dx ^ dy) < 0, rising, falling)
    return np.where(level, across, np.where(steep, upright, diagonal))


def connected(strong: Flags, weak: Flags) -> Flags:
    """`strong` pixels and the `weak` ones that can be reached from them, corners included.

    A front moves from pixel to pixel, so the work is that of the edges found, not of the picture.
    """
    width = strong.shape[1] + 2
    open_ = np.pad(weak & ~strong, 1).ravel()
    found = np.pad(strong, 1).ravel()
    neighbours = np.array([-width - 1, -width, -width + 1, -1, 1, width - 1, width, width + 1])
    front = np.flatnonzero(found)
    while front.size:
        reached = (front[:, None] + neighbours).ravel()
        front = np.unique(reached[open_[reached]])
        open_[front] = False
        found[front] = True
    return found.reshape(-1, width)[1:-1, 1:-1]
