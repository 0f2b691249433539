"""Bars and sparklines of one line. Pure: numbers in, text out; the number stands beside."""

from __future__ import annotations

from collections.abc import Sequence

SPARKS = "▁▂▃▄▅▆▇█"
SPARKS_ASCII = "_.-=+*#@"


def bar(share: float | None, width: int, *, ascii: bool = False) -> tuple[str, str]:
    """The filled and the empty part; an unknown share is all empty."""
    full, empty = ("#", ".") if ascii else ("━", "─")
    filled = 0 if share is None else round(min(1.0, max(0.0, share)) * width)
    if share and not filled:
        filled = 1  # a little is not nothing
    return full * filled, empty * (width - filled)


def sparkline(
    series: Sequence[float | None], width: int, top: float, *, ascii: bool = False
) -> str:
    """The newest `width` values as columns of one line; unknown values are blank."""
    marks = SPARKS_ASCII if ascii else SPARKS
    cells = []
    for value in list(series)[-width:] if width > 0 else ():
        if value is None:
            cells.append(" ")
        else:
            share = min(1.0, max(0.0, value / top)) if top else 0.0
            cells.append(marks[min(len(marks) - 1, int(share * len(marks)))])
    return "".join(cells).rjust(width)


def level(share: float | None) -> str:
    """Ink of a load: calm, then attentive."""
    if share is None:
        return "dim"
    return "red" if share >= 0.95 else "yellow" if share >= 0.85 else "green"
