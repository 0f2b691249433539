"""Text of times, durations, sizes and numbers; unknown is an en dash, never 0."""

from __future__ import annotations

import time
from datetime import datetime

UNKNOWN = "–"

_SIZES = ("B", "KiB", "MiB", "GiB", "TiB")


def duration(seconds: float | None) -> str:
    """`950ms`, `42s`, `3m 20s`, `2h 05m`, `3d 4h`."""
    if seconds is None:
        return UNKNOWN
    if 0 < seconds < 1:
        return f"{round(seconds * 1000)}ms"
    whole = max(0, round(seconds))
    minutes, s = divmod(whole, 60)
    hours, m = divmod(minutes, 60)
    days, h = divmod(hours, 24)
    if days:
        return f"{days}d {h}h"
    if hours:
        return f"{hours}h {m:02d}m"
    return f"{minutes}m {s:02d}s" if minutes else f"{s}s"


def size(num_bytes: float | None) -> str:
    """`512 B`, `1.5 MiB`, `23 GiB`."""
    if num_bytes is None:
        return UNKNOWN
    value, unit = float(num_bytes), 0
    while value >= 1024 and unit < len(_SIZES) - 1:
        value, unit = value / 1024, unit + 1
    digits = 0 if unit == 0 or value >= 100 else 1
    return f"{value:.{digits}f} {_SIZES[unit]}"


def number(value: float | None, digits: int = 4) -> str:
    """A scalar with `digits` significant digits."""
    return UNKNOWN if value is None else f"{value:.{digits}g}"


def percent(value: float | None) -> str:
    return UNKNOWN if value is None else f"{value:.0f}%"


def seconds_of(moment: float | str | datetime | None) -> float | None:
    """Unix seconds of a time stamp in any form the wire uses."""
    if moment is None or moment == "":
        return None
    if isinstance(moment, int | float):
        return float(moment)
    if isinstance(moment, str):
        moment = datetime.fromisoformat(moment)
    return moment.timestamp()


def age(moment: float | str | datetime | None, now: float | None = None) -> str:
    """How long ago: `5m 10s ago`."""
    at = seconds_of(moment)
    if at is None:
        return UNKNOWN
    passed = (time.time() if now is None else now) - at
    return "now" if abs(passed) < 1 else f"{duration(passed)} ago"


def clock(moment: float | str | datetime | None) -> str:
    """Local date and time to the second."""
    at = seconds_of(moment)
    return UNKNOWN if at is None else datetime.fromtimestamp(at).strftime("%Y-%m-%d %H:%M:%S")


def moment(at: float | str | datetime | None, now: float | None = None) -> str:
    """Absolute and relative: `2026-03-01 12:00:00 (5m 10s ago)`."""
    return UNKNOWN if seconds_of(at) is None else f"{clock(at)} ({age(at, now)})"
