"""A log that keeps up: plain strings in a bounded ring, only visible lines are styled.

Follow is on until the reader scrolls up; colours in the log are shown, everything else that could
steer the terminal is taken out.
"""

from __future__ import annotations

import re
from collections import deque

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from rich.text import Text
from textual.geometry import Size
from textual.scroll_view import ScrollView
from textual.strip import Strip

from sttui.tui.keys import bindings

MAX_LINES = 50_000
_CONTROL = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-ln-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b[@-Z\\^_]|"
    r"[\x00-\x08\x0b\x0c\x0e-\x1a\x1c-\x1f\x7f]"
)


def clean(line: str) -> str:
    """Without control sequences except colours; a rewritten progress line keeps its last state."""
    if "\r" in line:
        parts = [part for part in line.split("\r") if part]
        line = parts[-1] if parts else ""
    return _CONTROL.sub("", line).expandtabs(8)


class LogView(ScrollView, can_focus=True):
    """`write(text)` takes any chunk; an unfinished last line waits for its end."""

    BINDINGS = bindings("log")
    DEFAULT_CSS = """
    LogView { height: 1fr; }
    """

    def __init__(self, *, id: str, max_lines: int = MAX_LINES) -> None:
        super().__init__(id=id)
        self.lines: deque[str] = deque(maxlen=max_lines)
        self.total = 0
        self.follow = True
        self.pending_new = 0
        self.pattern = ""
        self.match = -1
        self._rest = ""

    @property
    def dropped(self) -> int:
        """Lines that have left the ring."""
        return self.total - len(self.lines)

    def write(self, text: str) -> None:
        *whole, self._rest = (self._rest + text).split("\n")
        self.lines.extend(clean(line) for line in whole)
        self.total += len(whole)
        if not whole:
            return
        self.virtual_size = Size(self.size.width, len(self.lines))
        if self.follow:
            self.scroll_end(animate=False, immediate=True)
        else:
            self.pending_new += len(whole)
        self.refresh()

    def render_line(self, y: int) -> Strip:
        index = y + self.scroll_offset.y
        width = self.size.width
        base = self.rich_style
        if index >= len(self.lines):
            return Strip.blank(width, base)
        line = self.lines[index]
        if "\x1b" in line:
            text = Text.from_ansi(line)
        else:
            text = Text(line, style=_level_style(line))
        if self.pattern:
            text.highlight_regex(re.compile(re.escape(self.pattern), re.IGNORECASE), "reverse")
        if index == self.match:
            text.stylize("bold underline")
        segments = list(text.render(self.app.console))
        strip = Strip([Segment(s.text, base + (s.style or Style())) for s in segments])
        return strip.crop_extend(0, width, base) if cell_len(line) else Strip.blank(width, base)

    # --- following -------------------------------------------------------------------------

    def watch_scroll_y(self, old: float, new: float) -> None:
        super().watch_scroll_y(old, new)
        at_end = new >= self.max_scroll_y - 0.5
        if new < old - 0.5 and not at_end:
            self.follow = False
        elif at_end and not self.follow:
            self.follow, self.pending_new = True, 0

    def action_toggle_follow(self) -> None:
        if self.follow:
            self.follow = False
        else:
            self.action_to_end()

    def action_to_end(self) -> None:
        self.follow, self.pending_new = True, 0
        self.scroll_end(animate=False)

    # --- searching -------------------------------------------------------------------------

    def find(self, pattern: str) -> int:
        """Search from the bottom; returns the number of matching lines."""
        self.pattern, self.match = pattern, -1
        hits = self._hits()
        if hits:
            self._show(hits[-1])
        self.refresh()
        return len(hits)

    def action_search_next(self, direction: int) -> None:
        hits = self._hits()
        if not hits:
            return
        if direction > 0:
            later = [h for h in hits if h > self.match]
            self._show(later[0] if later else hits[0])
        else:
            earlier = [h for h in hits if h < self.match]
            self._show(earlier[-1] if earlier else hits[-1])

    def _hits(self) -> list[int]:
        needle = self.pattern.lower()
        return [i for i, line in enumerate(self.lines) if needle in line.lower()] if needle else []

    def _show(self, index: int) -> None:
        self.match, self.follow = index, False
        self.scroll_to(y=max(0, index - self.size.height // 2), animate=False)
        self.refresh()

    def status(self) -> str:
        """One line about where the reader is."""
        if self.follow:
            return f"following · {self.total} lines"
        new = f", {self.pending_new} new" if self.pending_new else ""
        return f"paused{new} · {self.total} lines"


def _level_style(line: str) -> str:
    head = line[:60].lower()
    if "error" in head:
        return "red"
    return "yellow" if "warn" in head else ""
