"""A line chart of text: braille where Unicode is, stars elsewhere. No numpy, no framework.

`chart` is pure: curves in, lines of coloured text out, of exactly the asked size. Curves differ
in ink and in marks, so colour is never the only sign.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from stdaemon.wire.metrics import Series
from sttui.tui.spans import Line, merge

Point = tuple[float, float]

BRAILLE = 0x2800
DOTS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))  # [row][column]
MIN_WIDTH, MIN_HEIGHT = 20, 4


@dataclass(frozen=True, slots=True)
class Curve:
    """Values over steps; `mark` draws single points with that character instead of a line."""

    name: str
    steps: Sequence[float]
    values: Sequence[float | None]
    ink: str = ""
    mark: str = ""

    def points(self, *, log_y: bool) -> list[Point | None]:
        """Drawable points; None where the line is broken."""
        found: list[Point | None] = []
        for x, y in zip(self.steps, self.values, strict=True):
            if y is None or not math.isfinite(y) or (log_y and y <= 0):
                found.append(None)
            else:
                found.append((x, math.log10(y) if log_y else y))
        return found


@dataclass(frozen=True, slots=True)
class Frame:
    """The values at the edges of the drawing, and its size in cells."""

    left: float
    right: float
    low: float
    high: float
    width: int
    height: int

    def column(self, x: float, fine: int = 1) -> int:
        last = self.width * fine - 1
        return round((x - self.left) / ((self.right - self.left) or 1.0) * last)

    def row(self, y: float, fine: int = 1) -> int:
        last = self.height * fine - 1
        return round((self.high - y) / (self.high - self.low) * last)


def chart(
    curves: Sequence[Curve], width: int, height: int, *, ascii: bool = False, log_y: bool = False
) -> list[Line]:
    """`height` lines of `width` cells: labelled y axis, drawing, labelled x axis."""
    sets = [(curve, curve.points(log_y=log_y)) for curve in curves]
    known = [p for _, points in sets for p in points if p is not None]
    if not known or width < MIN_WIDTH or height < MIN_HEIGHT:
        text = "no data yet" if not known else ""
        return [[(text.ljust(width)[:width], "dim")]] + [[(" " * width, "")]] * (height - 1)
    low, high = _range([y for _, y in known])
    rows = height - 2
    ticks = nice_ticks(low, high, max(2, rows // 3))
    labels = {tick: _label(tick, ticks, log_y=log_y) for tick in ticks}
    gutter = max(len(text) for text in labels.values()) + 1
    xs = [x for x, _ in known]
    frame = Frame(min(xs), max(xs), low, high, width - gutter - 1, rows)
    cells = _draw(sets, frame, ascii=ascii)
    places = {frame.row(tick): text for tick, text in labels.items()}
    lines: list[Line] = []
    for index, row in enumerate(cells):
        label = places.get(index, "")
        axis = ("+" if label else "|") if ascii else ("┤" if label else "│")
        lines.append([(f"{label.rjust(gutter - 1)} {axis}", "dim"), *row])
    return lines + _x_axis(frame, gutter, ascii=ascii)


def _range(values: Sequence[float]) -> tuple[float, float]:
    low, high = min(values), max(values)
    if high == low:
        pad = abs(high) * 0.05 or 1.0
        return low - pad, high + pad
    return low, high


def nice_ticks(low: float, high: float, count: int) -> list[float]:
    """Round numbers (1, 2 or 5 times a power of ten) inside the range, at most `count`."""
    span = high - low
    step = 10.0 ** math.floor(math.log10(span / count))
    for factor in (1.0, 2.0, 5.0, 10.0, 20.0):
        if span / (step * factor) <= count:
            step *= factor
            break
    while (first := math.ceil(low / step - 1e-9)) > (last := math.floor(high / step + 1e-9)):
        step /= 2  # a narrow range between two round numbers
    return [index * step for index in range(first, last + 1)]


def _label(tick: float, ticks: Sequence[float], *, log_y: bool) -> str:
    if log_y:
        return f"{10**tick:.2g}"
    largest = max(abs(t) for t in ticks)
    step = ticks[1] - ticks[0] if len(ticks) > 1 else largest or 1.0
    if largest and not 1e-3 <= largest < 1e6:
        return f"{tick:.1e}" if tick else "0"
    digits = max(0, -math.floor(math.log10(step) + 1e-9))
    return f"{tick:.{digits}f}"


def _draw(
    sets: Sequence[tuple[Curve, list[Point | None]]], frame: Frame, *, ascii: bool
) -> list[Line]:
    """The curves alone; later ones lie above earlier ones."""
    fine_x, fine_y = (1, 1) if ascii else (2, 4)
    bits = [[0] * frame.width for _ in range(frame.height)]
    marks: dict[tuple[int, int], str] = {}
    inks: dict[tuple[int, int], str] = {}
    for curve, points in sets:
        previous: tuple[int, int] | None = None
        for point in points:
            if point is None:
                previous = None
                continue
            if curve.mark:
                place = frame.row(point[1]), frame.column(point[0])
                marks[place], inks[place] = curve.mark, curve.ink
                continue
            here = frame.column(point[0], fine_x), frame.row(point[1], fine_y)
            for column, row in _between(previous, here):
                place = row // fine_y, column // fine_x
                bits[place[0]][place[1]] |= 1 if ascii else DOTS[row % fine_y][column % fine_x]
                inks[place] = curve.ink
            previous = here
    return [
        merge(
            (_cell(bits[r][c], marks.get((r, c)), ascii), inks.get((r, c), ""))
            for c in range(frame.width)
        )
        for r in range(frame.height)
    ]


def _cell(bit: int, mark: str | None, ascii: bool) -> str:
    if mark:
        return mark
    if not bit:
        return " "
    return "*" if ascii else chr(BRAILLE + bit)


def _between(start: tuple[int, int] | None, end: tuple[int, int]) -> list[tuple[int, int]]:
    """Grid points of a straight line, the start left out."""
    if start is None or start == end:
        return [end]
    across, down = end[0] - start[0], end[1] - start[1]
    steps = max(abs(across), abs(down))
    return [
        (round(start[0] + across * i / steps), round(start[1] + down * i / steps))
        for i in range(1, steps + 1)
    ]


def _x_axis(frame: Frame, gutter: int, *, ascii: bool) -> list[Line]:
    """A rule with ticks, and their steps below; labels that would touch are left out."""
    corner, rule, tick = ("+", "-", "+") if ascii else ("└", "─", "┬")
    marks = [rule] * frame.width
    labels = [" "] * frame.width
    free_from = 0
    span = frame.right - frame.left
    ticks = nice_ticks(frame.left, frame.right, max(2, frame.width // 9)) if span else [frame.left]
    for at in ticks:
        text = f"{at:g}"
        column = frame.column(at)
        start = min(max(0, column - len(text) // 2), frame.width - len(text))
        if start < free_from or at != int(at):
            continue
        marks[column] = tick
        labels[start : start + len(text)] = text
        free_from = start + len(text) + 1
    return [
        [(" " * gutter + corner + "".join(marks), "dim")],
        [(" " * (gutter + 1) + "".join(labels), "dim")],
    ]


def smooth(values: Sequence[float | None], weight: float) -> list[float | None]:
    """Exponential average without the bias of its start; unknown values stay unknown."""
    total, norm = 0.0, 0.0
    found: list[float | None] = []
    for value in values:
        if value is None or not math.isfinite(value):
            found.append(None)
            continue
        total = weight * total + (1 - weight) * value
        norm = weight * norm + (1 - weight)
        found.append(total / norm)
    return found


def loss_curves(data: Mapping[str, Series], weight: float, *, ascii: bool = False) -> list[Curve]:
    """Each step's loss, its average, and the held-out loss as single marks."""
    loss, held = data.get("loss"), data.get("eval_loss")
    curves: list[Curve] = []
    if loss is not None:
        ink = "dim" if weight else "blue"
        curves.append(Curve("each step", loss.steps, loss.values, ink))
        if weight:
            average = smooth(loss.values, weight)
            curves.append(Curve(f"smoothed {weight:g}", loss.steps, average, "blue"))
    if held is not None and held.steps:
        mark = "o" if ascii else "●"
        curves.append(Curve("held out", held.steps, held.values, "yellow", mark=mark))
    return curves
