"""Charts, bars and sparklines: exact text at small sizes, honest axes, nothing outside."""

from __future__ import annotations

import math
import random

import pytest

from stdaemon.wire.metrics import Series
from sttui.tui.spans import plain_text, whole_spans
from sttui.tui.widgets.bars import bar, sparkline
from sttui.tui.widgets.chart import Curve, chart, loss_curves, nice_ticks, smooth

FALLING = Curve("loss", [0, 1, 2, 3, 4], [4.0, 3.0, 2.0, 1.0, 0.0])


def drawn(*curves: Curve, width: int = 30, height: int = 8, **options: bool) -> str:
    return "\n".join(
        line.rstrip() for line in plain_text(chart(curves, width, height, **options)).split("\n")
    )


def test_braille_golden() -> None:
    """A falling line in braille, with ticks at round numbers."""
    assert drawn(FALLING) == (
        "4 ┤⠉⠒⠤⣀\n"
        "  │    ⠉⠒⠤⢄⡀\n"
        "2 ┤        ⠈⠑⠢⢄⡀\n"
        "  │            ⠈⠉⠒⠢⠤⣀\n"
        "  │                  ⠉⠑⠒⠤⣀\n"
        "0 ┤                       ⠉⠒⠤⣀\n"
        "  └┬────────────┬────────────┬\n"
        "   0            2            4"
    )


def test_ascii_golden() -> None:
    """The same in ASCII, one star a cell."""
    text = drawn(FALLING, ascii=True)
    assert text.isascii()
    assert text == (
        "4 +****\n"
        "  |    ******\n"
        "2 +          *****\n"
        "  |               ****\n"
        "  |                   *****\n"
        "0 +                        ***\n"
        "  ++------------+------------+\n"
        "   0            2            4"
    )


@pytest.mark.parametrize("ascii", [False, True])
@pytest.mark.parametrize("log_y", [False, True])
def test_size_is_exact_for_any_data(ascii: bool, log_y: bool) -> None:
    """Whatever the numbers, the text has the asked size and no cell is lost."""
    rng = random.Random(7)
    for _ in range(150):
        count = rng.randrange(0, 60)
        scale = 10.0 ** rng.randrange(-9, 9)
        values = [rng.choice([None, rng.gauss(0, scale), math.nan, math.inf]) for _ in range(count)]
        steps = sorted(rng.sample(range(100_000), count))
        width, height = rng.randrange(8, 90), rng.randrange(2, 25)
        curves = [Curve("a", steps, values), Curve("b", steps[::3], values[::3], mark="o")]
        lines = chart(curves, width, height, ascii=ascii, log_y=log_y)
        assert len(lines) == height
        assert {sum(len(text) for text, _ in line) for line in lines} == {width}


def test_a_gap_breaks_the_line() -> None:
    """Unknown values are not bridged."""
    whole = drawn(Curve("a", [0, 1, 2], [1.0, 1.0, 1.0]))
    gap = drawn(Curve("a", [0, 1, 2], [1.0, None, 1.0]))
    assert _dotted(whole) > 20
    assert _dotted(gap) == 2


def _dotted(text: str) -> int:
    return sum(0x2800 < ord(char) <= 0x28FF for char in text)


def test_no_data_says_so() -> None:
    """An empty chart has words, not an empty frame."""
    assert drawn(Curve("a", [], [])).strip() == "no data yet"
    assert drawn(Curve("a", [1], [None])).strip() == "no data yet"
    assert "no data yet" not in drawn(Curve("a", [1], [0.5]))


def test_ticks_are_round_and_inside() -> None:
    """1, 2 or 5 times a power of ten; never more than asked; never outside."""
    assert nice_ticks(0.0, 1.0, 4) == [0.0, 0.5, 1.0]
    assert nice_ticks(0.13, 0.87, 4) == pytest.approx([0.2, 0.4, 0.6, 0.8])
    assert nice_ticks(1.01, 1.09, 2) == pytest.approx([1.05])
    rng = random.Random(1)
    for _ in range(500):
        low = rng.gauss(0, 10.0 ** rng.randrange(-6, 6))
        high = low + abs(rng.gauss(0, 10.0 ** rng.randrange(-3, 6))) + 1e-6
        ticks = nice_ticks(low, high, 5)
        assert 1 <= len(ticks) <= 6
        assert all(low - 1e-6 * (high - low) <= t <= high + 1e-6 * (high - low) for t in ticks)


def test_smoothing_is_unbiased_and_keeps_gaps() -> None:
    """A constant stays what it is from the first value on."""
    assert smooth([2.0, 2.0, None, 2.0], 0.9) == pytest.approx([2.0, 2.0, None, 2.0])
    assert smooth([0.0, 1.0], 0.5) == pytest.approx([0.0, 2 / 3])


def test_loss_curves_differ_in_more_than_colour() -> None:
    """Held-out values are marks, the average has its own line and name."""
    data = {
        "loss": Series(steps=[1, 2], values=[1.0, 0.5]),
        "eval_loss": Series(steps=[1], values=[0.9]),
    }
    curves = loss_curves(data, 0.85, ascii=True)
    assert [(c.name, c.mark) for c in curves] == [
        ("each step", ""),
        ("smoothed 0.85", ""),
        ("held out", "o"),
    ]
    assert "o" in drawn(*curves, ascii=True)


@pytest.mark.parametrize(
    ("share", "filled"), [(None, 0), (0.0, 0), (0.01, 1), (0.5, 5), (1.0, 10), (1.7, 10)]
)
def test_bars(share: float | None, filled: int) -> None:
    """Full width in all cases; a little is not nothing; too much is full."""
    assert bar(share, 10, ascii=True) == ("#" * filled, "." * (10 - filled))


def test_sparkline_keeps_the_newest() -> None:
    """Older values leave at the left, unknown ones are blank, a short past stands at the right."""
    assert sparkline([0, 50, None, 100], 4, 100.0) == "▁▅ █"
    assert sparkline([100, 0, 100], 2, 100.0) == "▁█"
    assert sparkline([100], 4, 100.0, ascii=True) == "   @"
    assert sparkline([1], 0, 100.0) == ""


def test_spans_are_kept_whole() -> None:
    """A number is left out rather than cut."""
    assert whole_spans([("abc", ""), ("defg", "dim")], 5) == [("abc", "")]
