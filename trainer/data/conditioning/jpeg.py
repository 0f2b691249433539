"""Damage of JPEG compression, also of several times: what a model for its removal is shown."""

from __future__ import annotations

import io
import random
from collections.abc import Mapping
from typing import Any

from PIL import Image


def jpeg(picture: Image.Image, options: Mapping[str, Any], seed: int) -> Image.Image:
    """The picture after `compression_rounds`, each at a lower quality than the one before."""
    quality = drawn_quality(options, random.Random(seed))
    for number in range(options["compression_rounds"]):
        picture = compressed(picture, quality * options["round_quality_decay"] ** number)
    return picture


def drawn_quality(options: Mapping[str, Any], draw: random.Random) -> int:
    match options["quality_mode"]:
        case "range":
            low, high = sorted(options["quality_range"])
            return draw.randint(low, high)
        case "list":
            return draw.choice(options["quality_list"])
        case _:
            return options["quality"]


def compressed(picture: Image.Image, quality: float) -> Image.Image:
    """RGB after one compression; `quality` 1..95 as libjpeg counts it."""
    file = io.BytesIO()
    picture.convert("RGB").save(file, "JPEG", quality=max(1, int(quality)))
    with Image.open(file) as read:
        return read.convert("RGB")
