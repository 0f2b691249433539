"""Histograms fit the screen, and what is not nothing is seen."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sttui.format.histogram import bar, histogram

CLASSES = st.lists(
    st.tuples(st.text("abc:/ 0123", min_size=1, max_size=20), st.integers(0, 10**6)), max_size=12
)


@given(CLASSES, st.booleans())
def test_lines_fit_and_say_the_count(classes: list[tuple[str, int]], plain: bool) -> None:
    """80 columns, one line a class, ASCII when plain."""
    lines = histogram(classes, plain=plain)
    assert len(lines) == len(classes)
    for line, (name, count) in zip(lines, classes, strict=True):
        assert len(line) <= 80
        assert name in line
        assert line.split()[-2] == str(count)
        assert not plain or line.isascii()
        assert any(mark in line for mark in "#▏▎▍▌▋▊▉█") == (count > 0)


@given(st.floats(0, 1), st.integers(1, 60))
def test_bars_grow_with_their_share(share: float, cells: int) -> None:
    """Never wider than the space; the whole is full, nothing is empty."""
    assert len(bar(share, cells)) <= cells
    assert bar(1.0, cells) == "█" * cells
    assert bar(0.0, cells) == bar(0.0, cells, plain=True) == ""
    assert bar(1e-9, cells) == "▏"


def test_shares_of_overlapping_classes_have_their_own_total() -> None:
    """Words of captions: 3 of 4 captions hold the first."""
    lines = histogram([("cat", 3), ("dog", 2)], total=4)
    assert lines[0].endswith("75%")
    assert lines[1].endswith("50%")
