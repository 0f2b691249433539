"""Everything that touches less public parts of Textual, in one place."""

from __future__ import annotations

from typing import Any

from rich.segment import Segment
from rich.style import Style
from textual.app import App
from textual.color import Color
from textual.filter import LineFilter


class NoColour(LineFilter):
    """Takes every colour out of what is drawn; bold, reverse and underline stay.

    Textual's own answer to NO_COLOR is grey 24-bit colour; NO_COLOR asks for none at all.
    """

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        return [
            Segment(text, _plain(style) if style else None, control)
            for text, style, control in segments
        ]


def _plain(style: Style) -> Style:
    return Style(
        bold=style.bold, reverse=style.reverse, underline=style.underline, italic=style.italic
    )


def drop_colours(app: App[Any]) -> None:
    """Install the filter in place of Textual's."""
    app._filters[:] = [NoColour()]
