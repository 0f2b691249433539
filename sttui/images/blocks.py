"""Pictures as text: half-block characters in colour, or ASCII grey levels. Pure bytes in, cells out.

A half-block cell shows two pixels, one above the other, as foreground and background colour.
"""

from __future__ import annotations

from collections.abc import Iterator

RGB = tuple[int, int, int]
Cell = tuple[str, RGB | None, RGB | None]  # character, foreground, background

UPPER = "▀"
RAMP = " .:-=+*#%@"


def pixel_size(columns: int, rows: int, *, ascii: bool) -> tuple[int, int]:
    """Pixels to ask for so that a picture fills at most `columns` x `rows` cells."""
    return (columns, rows) if ascii else (columns, rows * 2)


def half_blocks(width: int, height: int, rgb: bytes) -> Iterator[list[Cell]]:
    """One list of cells per text line."""
    for top in range(0, height, 2):
        line: list[Cell] = []
        for x in range(width):
            below = _at(rgb, width, x, top + 1) if top + 1 < height else None
            line.append((UPPER, _at(rgb, width, x, top), below))
        yield line


def grey_levels(width: int, height: int, rgb: bytes) -> Iterator[list[Cell]]:
    """Dark pixels become dense characters; without any colour."""
    for y in range(height):
        line: list[Cell] = []
        for x in range(width):
            r, g, b = _at(rgb, width, x, y)
            light = (299 * r + 587 * g + 114 * b) // 1000
            line.append((RAMP[(255 - light) * (len(RAMP) - 1) // 255], None, None))
        yield line


def _at(rgb: bytes, width: int, x: int, y: int) -> RGB:
    i = 3 * (y * width + x)
    return rgb[i], rgb[i + 1], rgb[i + 2]
