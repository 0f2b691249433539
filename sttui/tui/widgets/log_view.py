"""The view of a log: only visible lines are styled, the rest stays plain text.

Follow is on until the reader moves up. While it is off the lines in view stay where they are,
even when old ones leave the ring.
"""

from __future__ import annotations

import re
from typing import ClassVar

from rich.segment import Segment
from rich.text import Text
from textual.geometry import Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from sttui.tui.ink import ink
from sttui.tui.keys import bindings
from sttui.tui.widgets.log_lines import MAX_LINES, LogLines, bare

_LEVELS = (("error", "red"), ("traceback", "red"), ("warn", "yellow"))


class LogView(ScrollView, can_focus=True):
    """`write(text)` takes any chunk; `AtTop` asks for older lines, `Changed` tells the status."""

    BINDINGS = bindings("log")
    COMPONENT_CLASSES: ClassVar[set[str]] = {"log--match", "log--found"}
    DEFAULT_CSS = """
    LogView { height: 1fr; scrollbar-size-vertical: 1; scrollbar-size-horizontal: 0; }
    LogView .log--match { text-style: reverse; }
    LogView .log--found { text-style: bold underline; }
    """

    class AtTop(Message):
        """The oldest line at hand is in view."""

    class Changed(Message):
        """Something that `status()` tells has changed."""

    class SearchAsked(Message):
        """The reader wants to search; the field for it belongs to whoever holds the view."""

    def __init__(self, *, id: str, max_lines: int = MAX_LINES) -> None:
        super().__init__(id=id)
        self.log_lines = LogLines(max_lines)
        self.follow = True
        self.pending_new = 0
        self.pattern = ""
        self.match = -1
        self.hits: list[int] = []

    # --- content ---------------------------------------------------------------------------

    def write(self, text: str) -> None:
        dropped = self.log_lines.dropped
        whole = self.log_lines.write(text)
        gone = self.log_lines.dropped - dropped
        self.match = max(-1, self.match - gone)
        self._measure()
        if self.follow:
            self._scroll(self.max_scroll_y)
        else:
            self.pending_new += whole
            if gone:
                self._scroll(max(0, self.scroll_offset.y - gone))
        self.refresh()
        self.post_message(self.Changed())

    def prepend(self, text: str) -> None:
        """Older lines above; the view stays on what is being read."""
        taken = self.log_lines.prepend(text)
        self.match += taken if self.match >= 0 else 0
        self._measure()
        self._scroll(self.scroll_offset.y + taken)
        self.refresh()
        self.post_message(self.Changed())

    def _measure(self) -> None:
        self.virtual_size = Size(self.log_lines.widest, len(self.log_lines))

    # --- drawing ---------------------------------------------------------------------------

    def render_line(self, y: int) -> Strip:
        index = y + self.scroll_offset.y
        width = self.scrollable_content_region.width
        base = self.rich_style
        if index >= len(self.log_lines):
            return Strip.blank(width, base)
        line = self.log_lines[index]
        text = Text.from_ansi(line) if "\x1b" in line else Text(line)
        if self.pattern:
            style = self.get_component_rich_style("log--match", partial=True)
            text.highlight_regex(re.compile(re.escape(self.pattern), re.IGNORECASE), style)
        if index == self.match:
            text.stylize(self.get_component_rich_style("log--found", partial=True))
        head = bare(line)[:80].lower()
        level = next((colour for word, colour in _LEVELS if word in head), "")
        style = base + ink(self.app, level)
        segments = [
            Segment(s.text, style + s.style if s.style else style)
            for s in text.render(self.app.console)
            if s.text
        ]
        left = self.scroll_offset.x
        return Strip(segments).crop_extend(left, left + width, base)

    # --- moving ----------------------------------------------------------------------------

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        super().watch_scroll_y(old_value, new_value)
        old, new = old_value, new_value
        at_end = new >= self.max_scroll_y - 0.5
        if new < old - 0.5 and not at_end:
            self.follow = False
        elif at_end and not self.follow and self.max_scroll_y:
            self.follow, self.pending_new = True, 0
        if new < 0.5 and old > 0.5:
            self.post_message(self.AtTop())
        self.post_message(self.Changed())

    def action_toggle_follow(self) -> None:
        if self.follow:
            self.follow = False
            self.post_message(self.Changed())
        else:
            self.action_to_end()

    def action_to_end(self) -> None:
        self.follow, self.pending_new = True, 0
        self._scroll(self.max_scroll_y)
        self.post_message(self.Changed())

    def action_to_start(self) -> None:
        self.follow = False
        self._scroll(0)
        self.post_message(self.AtTop())

    def action_move(self, lines: int) -> None:
        if lines < 0:
            self.follow = False
        self._scroll(self.scroll_offset.y + lines)

    def action_turn(self, share: float) -> None:
        self.action_move(round(share * max(1, self.size.height - 1)))

    def _scroll(self, y: float) -> None:
        """At once, even before the layout knows that there is something to scroll."""
        self.scroll_to(y=y, animate=False, force=True, immediate=True)

    def action_shift(self, columns: int) -> None:
        left = max(0, self.scroll_offset.x + columns)
        self.scroll_to(x=left, animate=False, force=True, immediate=True)

    # --- searching -------------------------------------------------------------------------

    def action_search(self) -> None:
        self.post_message(self.SearchAsked())

    def find(self, pattern: str) -> int:
        """Mark all matches and go to the newest; returns the number of matching lines."""
        self.pattern, self.match = pattern, -1
        self.hits = self.log_lines.find(pattern)
        if self.hits:
            self._show(self.hits[-1])
        self.refresh()
        self.post_message(self.Changed())
        return len(self.hits)

    def action_search_next(self, direction: int) -> None:
        self.hits = self.log_lines.find(self.pattern)
        if not self.hits:
            return
        if direction > 0:
            later = [h for h in self.hits if h > self.match]
            self._show(later[0] if later else self.hits[0])
        else:
            earlier = [h for h in self.hits if h < self.match]
            self._show(earlier[-1] if earlier else self.hits[-1])

    def _show(self, index: int) -> None:
        self.match, self.follow = index, False
        self._scroll(max(0, index - self.size.height // 2))
        self.refresh()
        self.post_message(self.Changed())

    def status(self) -> str:
        """One line about where the reader is."""
        lines = self.log_lines
        parts = ["following" if self.follow else "paused"]
        if self.pending_new:
            parts[0] += f", {self.pending_new} new"
        parts.append(f"{lines.total} line{'' if lines.total == 1 else 's'}")
        if lines.dropped:
            parts.append(f"{lines.dropped} older ones only in the file")
        if self.pattern:
            place = self.hits.index(self.match) + 1 if self.match in self.hits else 0
            parts.append(
                f"match {place} of {len(self.hits)}" if self.hits else f"no {self.pattern!r}"
            )
        return " · ".join(parts)
