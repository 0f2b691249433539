"""The first frame of a video, as models that continue a picture are given it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image


def first_frame(
    frames: NDArray[np.uint8] | Image.Image, options: Mapping[str, Any], seed: int
) -> Image.Image:
    """Frame 0 of uint8 [T, H, W, 3], unchanged; a picture is its own first frame."""
    return frames if isinstance(frames, Image.Image) else Image.fromarray(frames[0])
