"""HDR films to sRGB: what is as bright as paper becomes white, what shines is clipped.

PQ (SMPTE ST 2084) stores luminance, HLG (ARIB STD-B67) a share of the screen's brightness; both
put paper white at 203 cd/m2 (ITU-R BT.2408). Formulas are those of ITU-R BT.2100; the curves are
tables over 16-bit codes, so a frame costs three look-ups and one matrix.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

PQ, HLG = 16, 18  # codes of the transfer curve in a film's header
CURVES = (PQ, HLG)
WHITE = 203.0  # cd/m2
SCREEN = 1000.0  # cd/m2, of the screen that HLG is graded on
GAMMA = 1.2  # of that screen
BT709 = 1  # code of the primaries of sRGB
BT2020_TO_BT709 = np.array(
    [[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]],
    dtype=np.float32,
)
BRIGHTNESS = np.array([0.2627, 0.6780, 0.0593], dtype=np.float32)  # of the BT.2020 primaries
STEPS = 4096  # of the table from light to sRGB; spaced as the square root, near what the eye sees


def sdr(codes: NDArray[np.uint16], curve: int, primaries: int) -> NDArray[np.uint8]:
    """sRGB [H, W, 3] of full-range RGB codes [H, W, 3] of an HDR film."""
    light = _light(curve)[codes]  # 1 is paper white
    if curve == HLG:  # the screen's gamma acts on brightness and leaves the hue
        light *= ((light @ BRIGHTNESS) ** np.float32(GAMMA - 1))[..., None]
        light *= np.float32(SCREEN / WHITE)
    if primaries != BT709:
        light = light @ BT2020_TO_BT709.T
    places = np.sqrt(light.clip(0.0, 1.0)) * np.float32(STEPS - 1) + np.float32(0.5)
    return _srgb()[places.astype(np.uint16)]


@lru_cache(maxsize=2)
def _light(curve: int) -> NDArray[np.float32]:
    """Light of each code: in paper whites for PQ, as a share of the scene's brightest for HLG."""
    code = np.arange(1 << 16) / ((1 << 16) - 1)
    if curve == PQ:
        root = code ** (32 / 2523)
        share = np.maximum(root - 3424 / 4096, 0) / (2413 / 128 - 2392 / 128 * root)
        return (10000 / WHITE * share ** (16384 / 2610)).astype(np.float32)
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    return np.where(code <= 0.5, code**2 / 3, (np.exp((code - c) / a) + b) / 12).astype(np.float32)


@lru_cache(maxsize=1)
def _srgb() -> NDArray[np.uint8]:
    """sRGB code of each step of light."""
    light = (np.arange(STEPS) / (STEPS - 1)) ** 2
    curved = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    return np.round(curved * 255).astype(np.uint8)
