"""How a picture looks, in figures: sharpness, blocks of JPEG, bars along the edges.

Sharpness is the variance of the Laplacian relative to the variance of the luminance, in the
sharpest tenth of the tiles that hold something. An edge blurred with a Gaussian of s pixels gives
0.018 / s^3, so the figure falls steeply with blur, and a soft background behind a sharp subject
does not count as blur.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Grey = NDArray[np.float32]

FLAT = 20  # span of luminance, of 255, below which there is nothing to judge
TILE = 32
THUMB = 256  # longest side on which bars are looked for
SAMPLE = 512  # side of the middle part on which blocks are looked for
SAME = 6.0  # of 255: a bar's pixels differ by no more
VISIBLE = 4.0  # of 255: smaller steps are not seen, whatever they are compared with
FILLED = 0.8  # share of a line that must differ from the bar it borders on
DEEPEST = 0.45  # bars are looked for up to this share of the picture


def levels(grey: Image.Image) -> tuple[int, int, int]:
    """Luminance below which 1, 50 and 99 % of the pixels lie."""
    share = np.cumsum(grey.histogram()) / (grey.width * grey.height)
    low, middle, high = np.searchsorted(share, (0.01, 0.5, 0.99)).tolist()
    return low, middle, high


def sharpness(grey: Grey) -> float | None:
    """See above; None where no tile holds enough contrast."""
    if min(grey.shape) < 8:
        return None
    laplacian = (
        grey[:-2, 1:-1] + grey[2:, 1:-1] + grey[1:-1, :-2] + grey[1:-1, 2:] - 4 * grey[1:-1, 1:-1]
    )
    inner = grey[1:-1, 1:-1]
    tile = min(TILE, *inner.shape)
    down, across = inner.shape[0] // tile, inner.shape[1] // tile

    def tiles(values: Grey) -> Grey:
        cut = values[: down * tile, : across * tile].reshape(down, tile, across, tile)
        return cut.transpose(0, 2, 1, 3).reshape(down * across, tile * tile)

    contrast = tiles(inner).var(axis=1)
    ratio = tiles(laplacian).var(axis=1) / np.maximum(contrast, 1e-6)
    judged = ratio[contrast >= max(25.0, 0.1 * float(inner.var()))]
    if not len(judged):
        return None
    return round(float(np.percentile(judged, 90)), 6)


def blockiness(grey: Image.Image) -> float:
    """How much larger the steps across borders of 8 x 8 blocks are than all others: 0 for none.

    Measured on an undisturbed grid from the top left corner, in the middle of the picture.
    """
    width, height = grey.size
    if min(width, height) < 32:
        return 0.0
    left, top = (max(0, (edge - SAMPLE) // 2) // 8 * 8 for edge in (width, height))
    part = np.asarray(
        grey.crop((left, top, min(width, left + SAMPLE), min(height, top + SAMPLE))),
        dtype=np.float32,
    )
    return min(_excess(part), _excess(part.T))


def _excess(grey: Grey) -> float:
    """Of steps between columns: at multiples of 8 against their neighbours on both sides."""
    second = np.abs(grey[:, :-3] - 3 * grey[:, 1:-2] + 3 * grey[:, 2:-1] - grey[:, 3:])
    mean = second.mean(axis=0)  # a step between columns x and x + 1 is at x - 1
    at = float(mean[6::8].mean())
    num_at = len(mean[6::8])
    others = (float(mean.sum()) - at * num_at) / (len(mean) - num_at)
    return (at - others) / max(others, VISIBLE)


def bars(grey: Grey) -> tuple[float, float, float, float]:
    """Share of the picture that uniform bars take: left, top, right, bottom."""
    turned = grey.T
    return (_bar(turned), _bar(grey), _bar(turned[::-1]), _bar(grey[::-1]))


def _bar(lines: Grey) -> float:
    """Depth of a bar at the first lines, as a share; 0 unless it ends along a straight line."""
    deepest = int(len(lines) * DEEPEST)
    colour = float(np.median(lines[0]))
    if not deepest or float(np.abs(lines[0] - colour).max()) > 4 * SAME:
        return 0.0
    differing = np.abs(lines[: deepest + 3] - colour) > SAME
    share = differing.mean(axis=1)
    inside = np.flatnonzero(share > 0.02)
    depth = int(inside[0]) if len(inside) else len(share)
    if depth == 0 or depth > deepest:
        return 0.0
    if float(share[depth : depth + 2].max()) < FILLED:
        return 0.0
    return round(depth / len(lines), 4)
