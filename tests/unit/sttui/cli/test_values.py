"""Durations and sizes, read from and written for people."""

from __future__ import annotations

import pytest

from sttui.cli.values import parse_duration, parse_size
from sttui.format import values


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90s", 90), ("15m", 900), ("2h", 7200), ("3d", 259200), ("1h30m", 5400), ("1.5", 1.5)],
)
def test_durations(text: str, seconds: float) -> None:
    """Units add up; a bare number is seconds."""
    assert parse_duration(text) == seconds
    assert parse_duration("250ms") == 0.25


@pytest.mark.parametrize("text", ["", "soon", "5x", "m", "-3s", "1h foo"])
def test_bad_durations(text: str) -> None:
    """Never a silent zero."""
    with pytest.raises(ValueError, match="duration"):
        parse_duration(text)


def test_sizes() -> None:
    """Powers of 1024 and of 1000 are different units."""
    assert parse_size("12GiB") == 12 << 30
    assert parse_size("1.5 GB") == 1_500_000_000
    assert parse_size("7") == 7
    with pytest.raises(ValueError, match="size"):
        parse_size("12 parsecs")


def test_text_of_values() -> None:
    """Unknown is a dash, never zero."""
    assert [values.duration(s) for s in (None, 0, 0.05, 61, 7500, 90061)] == [
        *("–", "0s", "50ms", "1m 01s", "2h 05m", "1d 1h"),
    ]
    assert [values.size(n) for n in (None, 0, 1536, 24 << 30)] == [
        "–",
        "0 B",
        "1.5 KiB",
        "24.0 GiB",
    ]
    assert values.age(1000.0, now=1310.0) == "5m 10s ago"
    assert values.age(None) == values.number(None) == values.percent(None) == "–"
