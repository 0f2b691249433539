"""Everything that touches less public parts of Textual, in one place.

What is drawn passes through line filters on its way to the terminal. Ours take colours out
(NO_COLOR) or keep every character within ASCII, so no widget has to think of either.
"""

from __future__ import annotations

from functools import lru_cache
from math import ceil
from typing import Any, ClassVar

from rich.cells import cell_len
from rich.color import Color as RichColor
from rich.segment import Segment, Segments
from rich.style import Style
from textual.app import App
from textual.color import Color
from textual.filter import LineFilter
from textual.scrollbar import ScrollBar, ScrollBarRender

from sttui.tui.options import Options

_TWINS = str.maketrans(
    {
        "–": "-", "—": "-", "·": "-", "…": "~", "→": ">", "←": "<", "↑": "^", "↓": "v", "›": ">",
        "▌": ">", "°": " ", "×": "x", "█": "#", "░": ".", "▀": "#", "▄": "#", "•": "*",
        "─": "-", "━": "-", "╸": "-", "╺": "-", "│": "|", "┃": "|", "┤": "+", "┬": "+", "└": "+",
        "╭": "+", "╮": "+", "╰": "+", "╯": "+", "┌": "+", "┐": "+", "┘": "+", "▎": "|", "▏": "|",
        "▔": "-", "▁": "_", "▊": "|",
    }
)  # fmt: skip


class NoColour(LineFilter):
    """Takes every colour out of what is drawn; bold, reverse and underline stay.

    Textual's own answer to NO_COLOR is grey 24-bit colour; NO_COLOR asks for none at all.
    """

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        return [
            Segment(text, _plain(style) if style else None, control)
            for text, style, control in segments
        ]


class AsciiOnly(LineFilter):
    """Replaces every other character by an ASCII one of the same width."""

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        return [
            Segment(text if text.isascii() else ascii_text(text), style, control)
            for text, style, control in segments
        ]


class SolidScrollBar(ScrollBarRender):
    """A scroll bar of characters, for terminals where background colour cannot show it."""

    THUMB: ClassVar[str] = "█"

    @classmethod
    def render_bar(
        cls,
        size: int = 25,
        virtual_size: float = 50,
        window_size: float = 20,
        position: float = 0,
        thickness: int = 1,
        vertical: bool = True,
        back_color: RichColor = RichColor.default(),
        bar_color: RichColor = RichColor.default(),
    ) -> Segments:
        thumb, start = size, 0
        if size and 0 < window_size < virtual_size:
            thumb = max(1, ceil(size * window_size / virtual_size))
            start = round((size - thumb) * position / (virtual_size - window_size))
        rows = [
            Segment(("│" if vertical else "─") * thickness, Style(meta={"@mouse.down": meta}))
            if not start <= index < start + thumb
            else Segment(cls.THUMB * thickness, Style(meta={"@mouse.down": "grab"}))
            for index, meta in enumerate(
                "scroll_up" if index < start else "scroll_down" for index in range(int(size))
            )
        ]
        return Segments(rows, new_lines=vertical)


@lru_cache(4096)
def ascii_text(text: str) -> str:
    """The text in ASCII, each character as wide as before."""
    swapped = text.translate(_TWINS)
    return "".join(c if c.isascii() else _twin(c) for c in swapped)


def _twin(char: str) -> str:
    code = ord(char)
    if 0x2800 <= code <= 0x28FF:  # braille
        return "*" if code > 0x2800 else " "
    return "?" * cell_len(char)


@lru_cache(4096)
def _plain(style: Style) -> Style:
    return Style(
        bold=style.bold,
        reverse=style.reverse,
        underline=style.underline,
        italic=style.italic,
        meta=style.meta or None,
    )


def adapt(app: App[Any], options: Options) -> None:
    """Make the application draw as its terminal wants; called once, before it runs."""
    app.no_color = not options.colour
    if not options.colour:
        app._filters[:] = [NoColour()]
    if options.ascii:
        app._filters.append(AsciiOnly())
    plain = options.ascii or not options.colour
    ScrollBar.renderer = SolidScrollBar if plain else ScrollBarRender
