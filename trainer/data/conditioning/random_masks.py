"""Random shapes that together cover exactly the share that was drawn.

The shapes get place, proportions and angle from the seed; one common scale is then searched until
their union has the wanted number of pixels. What two neighbouring scales differ by is taken pixel
by pixel, so the bounds on coverage hold for every picture and every number of shapes.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

Flags = NDArray[np.bool_]
Draw = ImageDraw.ImageDraw
Drawn = Callable[[Draw, float], None]  # onto a canvas, at a scale in pixels

SEARCH = 12  # halvings of the scale, to a fraction of a pixel


def random_masks(picture: Image.Image, options: Mapping[str, Any], seed: int) -> Image.Image:
    """A mask of the picture's size, mode L: 255 in the shapes, 0 elsewhere."""
    draw = random.Random(seed)
    size = picture.size
    count = draw.randint(options["min_masks"], options["max_masks"])
    kinds = [draw.choice(options["mask_types"]) for _ in range(count)]
    shapes = [_SHAPES[kind](draw, size) for kind in kinds]
    share = draw.uniform(options["min_coverage"], options["max_coverage"])
    low = math.ceil(options["min_coverage"] * size[0] * size[1])
    high = math.floor(options["max_coverage"] * size[0] * size[1])
    wanted = min(max(round(share * size[0] * size[1]), low), max(low, high))
    mask = Image.fromarray(np.where(covering(shapes, size, wanted), np.uint8(255), np.uint8(0)))
    if options["feather"]:
        mask = mask.filter(ImageFilter.GaussianBlur(options["feather"]))
    return mask.point(lambda value: 255 - value) if options["invert"] else mask


def covering(shapes: Sequence[Drawn], size: tuple[int, int], wanted: int) -> Flags:
    """The union of the shapes at the scale at which it has `wanted` pixels, to the pixel."""

    def at(scale: float) -> Flags:
        canvas = Image.new("1", size)
        for shape in shapes:
            shape(ImageDraw.Draw(canvas), scale)
        return np.asarray(canvas)

    inner, outer = np.zeros((size[1], size[0]), dtype=bool), at(1.0)
    low, high = 0.0, 1.0
    while outer.sum() < wanted:
        low, high, inner, outer = high, 2.0 * high, outer, at(2.0 * high)
    for _ in range(SEARCH + math.ceil(math.log2(high))):
        middle = 0.5 * (low + high)
        tried = at(middle)
        if tried.sum() <= wanted:
            low, inner = middle, tried
        else:
            high, outer = middle, tried
    found = inner.copy()
    rest = np.flatnonzero(outer & ~inner)[: wanted - int(inner.sum())]
    found.ravel()[rest] = True
    return found


# --- shapes: each draws its proportions once and can then be drawn at any scale ----------------


def _centre(draw: random.Random, size: tuple[int, int]) -> tuple[float, float]:
    return draw.uniform(0, size[0]), draw.uniform(0, size[1])


def rectangle(draw: random.Random, size: tuple[int, int]) -> Drawn:
    x, y = _centre(draw, size)
    stretch = 2.0 ** draw.uniform(-1.0, 1.0)

    def onto(canvas: Draw, scale: float) -> None:
        half_x, half_y = scale * stretch, scale / stretch
        canvas.rectangle((x - half_x, y - half_y, x + half_x, y + half_y), fill=1)

    return onto


def circle(draw: random.Random, size: tuple[int, int]) -> Drawn:
    x, y = _centre(draw, size)
    part = draw.uniform(0.5, 1.0)

    def onto(canvas: Draw, scale: float) -> None:
        _disc(canvas, x, y, part * scale)

    return onto


def brush(draw: random.Random, size: tuple[int, int]) -> Drawn:
    """A stroke of a few strokes of the hand, always as wide as the scale asks."""
    x, y = _centre(draw, size)
    angle, points = draw.uniform(0, 2 * math.pi), [(x, y)]
    reach = 0.25 * min(size)
    for _ in range(draw.randint(2, 6)):
        angle += draw.uniform(-1.0, 1.0)
        length = draw.uniform(0.2, 1.0) * reach
        x, y = x + length * math.cos(angle), y + length * math.sin(angle)
        points.append((x, y))

    def onto(canvas: Draw, scale: float) -> None:
        radius = 0.4 * scale
        start = points[: 2 + int(len(points) * min(1.0, scale / reach))]  # short while thin
        canvas.line(start, fill=1, width=max(1, round(2 * radius)))
        for point in start:
            _disc(canvas, *point, radius)

    return onto


def irregular(draw: random.Random, size: tuple[int, int]) -> Drawn:
    """A polygon with corners all around its centre, at uneven distances."""
    x, y = _centre(draw, size)
    corners = draw.randint(5, 12)
    rays = [
        (2 * math.pi * (i + draw.uniform(-0.3, 0.3)) / corners, draw.uniform(0.4, 1.2))
        for i in range(corners)
    ]

    def onto(canvas: Draw, scale: float) -> None:
        at = [(x + scale * r * math.cos(a), y + scale * r * math.sin(a)) for a, r in rays]
        canvas.polygon(at, fill=1)

    return onto


def _disc(canvas: Draw, x: float, y: float, radius: float) -> None:
    canvas.ellipse((x - radius, y - radius, x + radius, y + radius), fill=1)


_SHAPES: dict[str, Callable[[random.Random, tuple[int, int]], Drawn]] = {
    "rectangle": rectangle,
    "circle": circle,
    "brush": brush,
    "irregular": irregular,
}
