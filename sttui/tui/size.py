"""Size classes (tui.md §5.1): screens react to a class, never to numbers of their own."""

from __future__ import annotations

from typing import Literal

SizeClass = Literal["xs", "s", "m", "l"]


def size_class(width: int, height: int) -> SizeClass:
    if width < 60 or height < 16:
        return "xs"
    if width < 100 or height < 30:
        return "s"
    return "l" if width >= 160 and height >= 45 else "m"
