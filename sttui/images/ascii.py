"""Pictures as ASCII grey levels, for terminals without colour. Pure: RGB bytes in, cells out.

Each character stands for two pixels, one above the other, so shapes keep their proportions. The
rounding error is carried to the neighbours (Floyd and Steinberg 1976), so soft shades survive
the ten levels. Bright pixels become dense characters: most terminals are dark.
"""

from __future__ import annotations

from collections.abc import Iterator

from sttui.images.blocks import Cell, pixel

RAMP = " .:-=+*#%@"


def grey_levels(width: int, height: int, rgb: bytes) -> Iterator[list[Cell]]:
    """One list of cells per text line; a text line covers two rows of pixels."""
    rows = -(-height // 2)
    error = [[0.0] * (width + 2) for _ in range(rows + 1)]
    top = len(RAMP) - 1
    for y in range(rows):
        text = []
        for x in range(width):
            wanted = _light(rgb, width, height, x, 2 * y) / 255 * top + error[y][x + 1]
            index = min(top, max(0, round(wanted)))
            text.append(RAMP[index])
            left = wanted - index
            error[y][x + 2] += left * 7 / 16
            error[y + 1][x] += left * 3 / 16
            error[y + 1][x + 1] += left * 5 / 16
            error[y + 1][x + 2] += left * 1 / 16
        yield [("".join(text), None, None)]


def _light(rgb: bytes, width: int, height: int, x: int, y: int) -> float:
    """Mean luminance of a pixel and the one below it."""
    rows = (y, y + 1) if y + 1 < height else (y,)
    total = 0.0
    for row in rows:
        r, g, b = pixel(rgb, width, x, row)
        total += 0.299 * r + 0.587 * g + 0.114 * b
    return total / len(rows)
