"""Values with a unit on the command line: `90s 15m 2h 3d`, `12GiB`."""

from __future__ import annotations

import re

_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_BYTES = {"": 1, "b": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12}
_BYTES |= {f"{unit}b": factor for unit, factor in list(_BYTES.items()) if unit not in ("", "b")}
_BYTES |= {f"{unit}ib": 2 ** (10 * n) for n, unit in enumerate("kmgt", 1)}
_PART = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)")


def parse_duration(text: str) -> float:
    """Seconds; parts add up (`1h30m`), a bare number is seconds."""
    compact = text.strip().lower()
    if re.fullmatch(r"\d+(\.\d+)?", compact):
        return float(compact)
    parts = _PART.findall(compact)
    if not parts or _PART.sub("", compact).strip():
        raise ValueError(f"{text!r} is not a duration; write 90s, 15m, 2h or 3d")
    return sum(float(number) * _SECONDS[unit] for number, unit in parts)


def parse_size(text: str) -> int:
    """Bytes; `KiB`-style units are powers of 1024, `kB`-style powers of 1000."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([a-z]*)", text.strip().lower())
    if match is None or match[2] not in _BYTES:
        raise ValueError(f"{text!r} is not a size; write 500MB or 12GiB")
    return round(float(match[1]) * _BYTES[match[2]])
