"""Pictures as half blocks in colour. Pure: RGB bytes in, cells out.

A half-block cell shows two pixels, one above the other, as foreground and background colour.
Since a cell is about twice as high as wide, such pixels are square.
"""

from __future__ import annotations

from collections.abc import Iterator

RGB = tuple[int, int, int]
Cell = tuple[str, RGB | None, RGB | None]  # text, foreground, background

UPPER = "▀"


def pixel_size(columns: int, rows: int) -> tuple[int, int]:
    """Pixels to ask for so that a picture fills at most `columns` x `rows` cells."""
    return columns, rows * 2


def half_blocks(width: int, height: int, rgb: bytes) -> Iterator[list[Cell]]:
    """One list of cells per text line; equal neighbours share a cell."""
    for top in range(0, height, 2):
        line: list[Cell] = []
        for x in range(width):
            above = pixel(rgb, width, x, top)
            below = pixel(rgb, width, x, top + 1) if top + 1 < height else None
            if line and line[-1][1:] == (above, below):
                line[-1] = (line[-1][0] + UPPER, above, below)
            else:
                line.append((UPPER, above, below))
        yield line


def pixel(rgb: bytes, width: int, x: int, y: int) -> RGB:
    i = 3 * (y * width + x)
    return rgb[i], rgb[i + 1], rgb[i + 2]
