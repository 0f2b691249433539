"""A line plot of text: braille where Unicode is, asterisks elsewhere. No numpy.

`plot_lines` is pure: numbers in, lines of text out, of exactly the asked size.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from textual.widget import Widget

from sttui.format import values

BRAILLE = 0x2800
DOTS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))  # [row][column]
SPARKS = "▁▂▃▄▅▆▇█"
SPARKS_ASCII = "_.-=+*#@"


def plot_lines(
    xs: Sequence[float], ys: Sequence[float | None], width: int, height: int, *, ascii: bool = False
) -> list[str]:
    """A plot with a y axis of three labels and an x axis of two; `height` lines in all."""
    points = [(x, y) for x, y in zip(xs, ys, strict=True) if y is not None and math.isfinite(y)]
    if not points or width < 16 or height < 4:
        return ["no data yet".ljust(width)[:width]] + [" " * width] * (height - 1)
    low, high = min(y for _, y in points), max(y for _, y in points)
    if high == low:
        pad = abs(high) * 0.05 or 1.0
        low, high = low - pad, high + pad
    labels = [values.number(v, 3) for v in (high, (high + low) / 2, low)]
    gutter = max(len(label) for label in labels) + 1
    rows = height - 1
    body = _draw(points, low, high, width - gutter - 1, rows, ascii=ascii)
    places = {0: labels[0], rows // 2: labels[1], rows - 1: labels[2]}
    bar = "|" if ascii else "│"
    lines = [f"{places.get(i, '').rjust(gutter - 1)} {bar}{line}" for i, line in enumerate(body)]
    first, last = f"{points[0][0]:g}", f"{points[-1][0]:g}"
    room = width - gutter - 1
    axis = first + last.rjust(max(0, room - len(first)))
    return [*lines, " " * (gutter + 1) + axis[:room].ljust(room)]


def _draw(
    points: Sequence[tuple[float, float]],
    low: float,
    high: float,
    width: int,
    rows: int,
    *,
    ascii: bool,
) -> list[str]:
    """The curve alone as `rows` lines."""
    fine_x, fine_y = (1, 1) if ascii else (2, 4)
    across, down = width * fine_x, rows * fine_y
    first, last = points[0][0], points[-1][0]
    span = (last - first) or 1.0
    grid = [[0] * width for _ in range(rows)]
    previous: tuple[int, int] | None = None
    for x, y in points:
        column = min(across - 1, int((x - first) / span * (across - 1)))
        row = min(down - 1, int((high - y) / (high - low) * (down - 1) + 0.5))
        for c, r in _between(previous, (column, row)):
            cell_row, cell_column = r // fine_y, c // fine_x
            bit = 1 if ascii else DOTS[r % fine_y][c % fine_x]
            grid[cell_row][cell_column] |= bit
        previous = (column, row)
    if ascii:
        return ["".join("*" if cell else " " for cell in line) for line in grid]
    return ["".join(chr(BRAILLE + cell) if cell else " " for cell in line) for line in grid]


def _between(start: tuple[int, int] | None, end: tuple[int, int]) -> list[tuple[int, int]]:
    """Grid points of a straight line, the start left out."""
    if start is None:
        return [end]
    steps = max(abs(end[0] - start[0]), abs(end[1] - start[1]))
    if steps == 0:
        return [end]
    return [
        (
            round(start[0] + (end[0] - start[0]) * i / steps),
            round(start[1] + (end[1] - start[1]) * i / steps),
        )
        for i in range(1, steps + 1)
    ]


def sparkline(
    series: Sequence[float | None], width: int, top: float, *, ascii: bool = False
) -> str:
    """The newest `width` values as bars of one line; unknown values are blank."""
    marks = SPARKS_ASCII if ascii else SPARKS
    cells = []
    for value in list(series)[-width:]:
        if value is None:
            cells.append(" ")
        else:
            share = min(1.0, max(0.0, value / top)) if top else 0.0
            cells.append(marks[min(len(marks) - 1, int(share * len(marks)))])
    return "".join(cells).rjust(width)


def bar(share: float | None, width: int, *, ascii: bool = False) -> str:
    """A filled bar; the number stands beside it, so colour or length is never the only sign."""
    full, empty = ("#", ".") if ascii else ("█", "░")
    filled = 0 if share is None else round(min(1.0, max(0.0, share)) * width)
    return full * filled + empty * (width - filled)


class Plot(Widget):
    """A titled plot that redraws when its data change."""

    DEFAULT_CSS = """
    Plot { height: 1fr; }
    """

    def __init__(self, title: str, *, ascii: bool, id: str) -> None:
        super().__init__(id=id)
        self.title = title
        self.ascii = ascii
        self.data: tuple[list[float], list[float | None]] = ([], [])

    def set_data(self, xs: Sequence[float], ys: Sequence[float | None]) -> None:
        data = (list(xs), list(ys))
        if data != self.data:
            self.data = data
            self.refresh()

    def render(self) -> str:
        width, height = self.size
        lines = plot_lines(*self.data, width, max(2, height - 1), ascii=self.ascii)
        known = [y for y in self.data[1] if y is not None]
        now = f"  now {values.number(known[-1])}" if known else ""
        head = f"{self.title}{now}"[:width]
        return "\n".join([head, *lines])
