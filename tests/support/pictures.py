"""Small synthetic picture folders."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageDraw

WORDS = ("red", "blue", "green", "yellow")


def make_folder(
    folder: Path, count: int, *, sizes: Sequence[tuple[int, int]] = ((64, 64),), seed: int = 0
) -> Path:
    """`count` distinct PNG pictures with captions."""
    rng = random.Random(seed)
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        size = sizes[number % len(sizes)]
        picture = Image.new("RGB", size, tuple(rng.randrange(256) for _ in range(3)))
        draw = ImageDraw.Draw(picture)
        box = (
            sorted(rng.randrange(size[0]) for _ in range(2)),
            sorted(rng.randrange(size[1]) for _ in range(2)),
        )
        colour = tuple(rng.randrange(256) for _ in range(3))
        draw.ellipse((box[0][0], box[1][0], box[0][1] + 1, box[1][1] + 1), fill=colour)
        picture.save(folder / f"p{number:03d}.png")
        word = WORDS[number % len(WORDS)]
        (folder / f"p{number:03d}.txt").write_text(f"a {word} apple {number}\na {word} thing\n")
    return folder
