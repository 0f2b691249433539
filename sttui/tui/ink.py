"""Colours by meaning: widgets name an ink, the theme decides how it looks.

Two themes of our own, calm on dark and on light ground; every theme of Textual works as well,
because inks are looked up among the theme's variables.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rich.style import Style
from rich.text import Text
from textual.app import App
from textual.color import Color, ColorParseError
from textual.theme import Theme

from sttui.tui.spans import Line

_VARIABLES = {
    "green": "success",
    "red": "error",
    "yellow": "warning",
    "blue": "primary",
    "cyan": "accent",
}

DARK = Theme(
    name="stune-dark",
    primary="#7aa7d9",
    secondary="#a394d4",
    accent="#6fc1bd",
    success="#8cbf7a",
    warning="#d9b26a",
    error="#df7c7c",
    foreground="#d3d8de",
    # Greys of low saturation, so that 256 colours show them as greys too.
    background="#15171a",
    surface="#1b1e22",
    panel="#26292e",
    dark=True,
    variables={
        "block-cursor-background": "#3a424b",
        "block-cursor-foreground": "#eef2f6",
        "block-cursor-blurred-background": "#2a2e33",
        "scrollbar": "#454c55",
        "scrollbar-background": "#1b1e22",
        "border": "#454c55",
    },
)
LIGHT = Theme(
    name="stune-light",
    primary="#2f6299",
    secondary="#6a569e",
    accent="#1f7a76",
    success="#3f7a2e",
    warning="#8a5f00",
    error="#b03a3a",
    foreground="#22272e",
    background="#f7f7f4",
    surface="#efefeb",
    panel="#e4e5e1",
    dark=False,
    variables={
        "block-cursor-background": "#cddcec",
        "block-cursor-foreground": "#14181d",
        "scrollbar": "#b6bcc4",
        "scrollbar-background": "#ecece8",
        "border": "#b6bcc4",
    },
)


def ink(app: App[Any], name: str) -> Style:
    """The style of an ink: a colour word, `dim`, `bold`, or several of them."""
    style = Style.null()
    for word in name.split():
        if word == "dim":
            style += Style(dim=True)
        elif word == "bold":
            style += Style(bold=True)
        elif word == "reverse":
            style += Style(reverse=True)
        elif (value := app.theme_variables.get(_VARIABLES.get(word, word))) is not None:
            try:
                style += Style(color=Color.parse(value).rich_color)
            except ColorParseError:  # a variable that is no plain colour
                continue
    return style


def text_of(app: App[Any], lines: Iterable[Line]) -> Text:
    """Lines of spans as one text."""
    text = Text(no_wrap=True, end="")
    for number, line in enumerate(lines):
        if number:
            text.append("\n")
        for part, name in line:
            text.append(part, ink(app, name) if name else None)
    return text
