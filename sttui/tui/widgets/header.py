"""The first line: product, host and place at the left, counters and clock at the right.

When both do not fit, parts of the right side are left out, the less important first; what is
still too long at the left ends with an ellipsis.
"""

from __future__ import annotations

from collections.abc import Sequence

from rich.cells import cell_len
from rich.segment import Segment
from textual.strip import Strip
from textual.widget import Widget

from sttui.tui.ink import ink
from sttui.tui.spans import Line
from sttui.tui.widgets.virtual_table import fit

DIVIDER = " · "


class Header(Widget):
    """`set_parts(left, right)`; spans are texts with inks."""

    DEFAULT_CSS = """
    Header { height: 1; dock: top; padding: 0 1; background: $panel; }
    Header:nocolor { text-style: reverse; }
    """

    def __init__(self) -> None:
        super().__init__()
        self._line: tuple[Line, Line] = ([], [])

    def set_parts(self, left: Line, right: Line) -> None:
        if (left, right) != self._line:
            self._line = (left, right)
            self.refresh()

    def render_line(self, y: int) -> Strip:
        base, width = self.rich_style, self.size.width
        line = spread(*self._line, width)
        segments = [Segment(text, base + ink(self.app, name)) for text, name in line]
        return Strip(segments).crop_extend(0, width, base)


def spread(left: Sequence[tuple[str, str]], right: Line, width: int) -> Line:
    """Both sides in one line of exactly `width` cells; the first and last at the right stay."""
    needed = sum(cell_len(text) for text, _ in left)
    right = list(right)
    while len(right) > 2 and needed + _width(right) + 2 > width:
        del right[-2]
    wanted = _width(right)
    room = width - wanted - 2 if wanted else width
    line: Line = []
    used = 0
    for text, name in left:
        text = text if used + cell_len(text) <= room else fit(text, max(0, room - used))
        line.append((text, name))
        used += cell_len(text)
    line.append((" " * max(0, width - used - wanted), ""))
    for index, span in enumerate(right):
        line += [(DIVIDER, "dim"), span] if index else [span]
    return line


def _width(parts: Line) -> int:
    return sum(cell_len(text) for text, _ in parts) + len(DIVIDER) * max(0, len(parts) - 1)
