"""A picture in the terminal: half blocks in colour, grey characters otherwise."""

from __future__ import annotations

from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip
from textual.widget import Widget

from sttui.images.blocks import Cell, grey_levels, half_blocks


class Picture(Widget):
    """Shows RGB bytes that the daemon scaled to the right size."""

    DEFAULT_CSS = """
    Picture { width: 1fr; height: 1fr; }
    """

    def __init__(self, *, plain: bool, id: str) -> None:
        super().__init__(id=id)
        self.plain = plain
        self._lines: list[list[Cell]] = []

    def set_pixels(self, width: int, height: int, rgb: bytes) -> None:
        make = grey_levels if self.plain else half_blocks
        self._lines = list(make(width, height, rgb))
        self.refresh()

    def render_line(self, y: int) -> Strip:
        width = self.size.width
        if y >= len(self._lines):
            return Strip.blank(width, self.rich_style)
        segments = [Segment(text, _style(front, back)) for text, front, back in self._lines[y]]
        return Strip(segments).crop_extend(0, width, self.rich_style)


def _style(front: tuple[int, int, int] | None, back: tuple[int, int, int] | None) -> Style:
    return Style(
        color=None if front is None else "rgb({},{},{})".format(*front),
        bgcolor=None if back is None else "rgb({},{},{})".format(*back),
    )
