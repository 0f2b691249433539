"""Pictures side by side in the terminal: half blocks in colour, grey characters otherwise.

`layout` chooses the number of columns that makes the pictures largest; the tiles are drawn line
by line, so a picture never leaves traces behind.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip
from textual.widget import Widget

from sttui.images.ascii import grey_levels
from sttui.images.blocks import RGB, Cell, half_blocks, pixel_size
from sttui.tui.ink import ink
from sttui.tui.widgets.virtual_table import fit

GAP = 2


@dataclass(frozen=True, slots=True)
class Layout:
    """Columns and rows of tiles; a tile's size in cells without its caption line."""

    columns: int
    rows: int
    width: int
    height: int


def layout(count: int, width: int, height: int, *, aspect: float = 1.0) -> Layout:
    """The arrangement with the largest pictures; `aspect` is width over height in pixels."""
    best = Layout(1, max(1, count), max(1, width), 1)
    best_area = -1.0
    for columns in range(1, max(1, count) + 1):
        rows = -(-max(1, count) // columns)
        wide = (width + GAP) // columns - GAP
        high = height // rows - 1
        if wide < 4 or high < 2:
            continue
        shown = min(wide, 2 * high * aspect)  # a cell is about twice as high as wide
        if shown > best_area:
            needed = max(1, math.ceil(wide / aspect / 2))
            best, best_area = Layout(columns, rows, wide, min(high, needed)), shown
    return best


class Gallery(Widget):
    """Tiles with captions; the picked one is marked."""

    DEFAULT_CSS = """
    Gallery { width: 1fr; height: 1fr; }
    """

    def __init__(self, *, plain: bool, id: str) -> None:
        super().__init__(id=id)
        self.plain = plain
        self.captions: list[str] = []
        self.picked = 0
        self.plan = Layout(1, 1, 1, 1)
        self._tiles: dict[int, list[list[Cell]]] = {}

    def lay_out(self, captions: Sequence[str], picked: int, *, aspect: float = 1.0) -> bool:
        """Set what is shown; True when sizes changed and pictures must be fetched anew."""
        plan = layout(len(captions), self.size.width, self.size.height, aspect=aspect)
        changed = plan != self.plan
        self.captions, self.picked, self.plan = list(captions), picked, plan
        self.refresh()
        return changed

    def pixels(self) -> tuple[int, int]:
        """The size to ask the daemon for."""
        return pixel_size(self.plan.width, self.plan.height)

    def set_picture(self, index: int, width: int, height: int, rgb: bytes) -> None:
        make = grey_levels if self.plain else half_blocks
        self._tiles[index] = list(make(width, height, rgb))
        self.refresh()

    def forget(self) -> None:
        self._tiles.clear()
        self.refresh()

    def render_line(self, y: int) -> Strip:
        base, plan = self.rich_style, self.plan
        row, line = divmod(y, plan.height + 1)
        segments: list[Segment] = []
        for index in range(row * plan.columns, min((row + 1) * plan.columns, len(self.captions))):
            if segments:
                segments.append(Segment(" " * GAP, base))
            if line == plan.height:
                segments.append(self._caption(index, base))
            else:
                segments += self._picture_line(index, line, base)
        return Strip(segments).crop_extend(0, self.size.width, base)

    def _caption(self, index: int, base: Style) -> Segment:
        picked = index == self.picked and len(self.captions) > 1
        mark = "▌" if picked else " "
        text = fit(f"{mark}{self.captions[index]}", self.plan.width)
        return Segment(text, base + ink(self.app, "bold blue" if picked else "dim"))

    def _picture_line(self, index: int, line: int, base: Style) -> list[Segment]:
        lines = self._tiles.get(index, [])
        cells = lines[line] if line < len(lines) else []
        pad = self.plan.width - sum(len(text) for text, _, _ in cells)
        drawn = [Segment(text, base + _style(front, back)) for text, front, back in cells]
        return [*drawn, Segment(" " * pad, base)] if pad > 0 else drawn


def _style(front: RGB | None, back: RGB | None) -> Style:
    return Style(
        color=None if front is None else "rgb({},{},{})".format(*front),
        bgcolor=None if back is None else "rgb({},{},{})".format(*back),
    )
