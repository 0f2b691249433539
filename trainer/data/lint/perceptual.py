"""A perceptual hash of 64 bits that survives re-encoding, resizing and a crop of 2 %.

The lowest 8 x 8 frequencies of a cosine transform of the grey picture, each compared with the
median (pHash). Two changes: a coefficient must be clearly above the median, or those that are
nearly zero in symmetric pictures would be random bits; and each picture also has the hashes of
itself cut by 2 % in six ways, so a cropped copy meets one of them almost exactly.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

SIDE = 64
CUT = 0.02
CLEARLY = 0.05  # of the coefficients' root mean square
PROBES = (
    *((0.0, 0.0, 1.0, 1.0), (CUT / 2, CUT / 2, 1 - CUT / 2, 1 - CUT / 2)),
    *((0.0, 0.0, 1 - CUT, 1 - CUT), (CUT, 0.0, 1.0, 1 - CUT)),
    *((0.0, CUT, 1 - CUT, 1.0), (CUT, CUT, 1.0, 1.0), (CUT, CUT, 1 - CUT, 1 - CUT)),
)


def _basis() -> NDArray[np.float32]:
    points = np.arange(SIDE)[None, :] * 2 + 1
    return np.cos(np.pi * points * np.arange(8)[:, None] / (2 * SIDE)).astype(np.float32)


BASIS = _basis()


def hashes(grey: Image.Image) -> tuple[str, ...]:
    """The hash of the whole picture, then those of its cuts, as hexadecimal numbers."""
    width, height = grey.size
    out = []
    for left, top, right, bottom in PROBES:
        box = (left * width, top * height, right * width, bottom * height)
        out.append(_hash(np.asarray(grey.resize((SIDE, SIDE), Image.Resampling.BOX, box=box))))
    return tuple(out)


def _hash(pixels: NDArray[np.uint8]) -> str:
    spectrum = BASIS @ pixels.astype(np.float32) @ BASIS.T
    spectrum[0, 0] = 0.0  # brightness
    values = spectrum.ravel()
    above = np.median(values[1:]) + CLEARLY * np.sqrt((values * values).mean())
    return np.packbits(values > above).tobytes().hex()


def colours(picture: Image.Image) -> str:
    """The picture as 8 x 8 pixels: the hash is blind to colour."""
    return picture.resize((8, 8), Image.Resampling.BOX, reducing_gap=2.0).tobytes().hex()
