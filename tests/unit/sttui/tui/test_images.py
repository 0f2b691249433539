"""Picture encoders: exact cells from exact bytes, proportions kept, every size survived."""

from __future__ import annotations

import pytest

from sttui.images.ascii import RAMP, grey_levels
from sttui.images.blocks import half_blocks, pixel_size
from sttui.tui.widgets.gallery import layout

RED, BLUE, WHITE, BLACK = (255, 0, 0), (0, 0, 255), (255, 255, 255), (0, 0, 0)


def pixels(*colours: tuple[int, int, int]) -> bytes:
    return bytes(v for colour in colours for v in colour)


def test_a_cell_holds_two_pixels() -> None:
    """The upper one in front, the lower one behind; equal neighbours share a cell."""
    rgb = pixels(RED, RED, BLUE, WHITE, WHITE, BLUE)
    assert list(half_blocks(3, 2, rgb)) == [[("▀▀", RED, WHITE), ("▀", BLUE, BLUE)]]


def test_an_odd_last_row_has_no_background() -> None:
    """Half of the last line stays as the terminal is."""
    assert list(half_blocks(1, 3, pixels(RED, BLUE, WHITE)))[1] == [("▀", WHITE, None)]


def test_grey_levels_are_ascii_without_colour() -> None:
    """Bright is dense, dark is empty, two rows of pixels make one line."""
    lines = list(grey_levels(2, 4, pixels(WHITE, BLACK) * 4))
    assert lines == [[("@ ", None, None)], [("@ ", None, None)]]


def test_soft_shades_survive_ten_levels() -> None:
    """Dithering keeps the mean brightness of a flat grey within one per cent."""
    side = 40
    text = "".join(line[0][0] for line in grey_levels(side, side, bytes([100]) * (3 * side * side)))
    mean = sum(RAMP.index(c) for c in text) / len(text) / (len(RAMP) - 1)
    assert abs(mean - 100 / 255) < 0.01
    assert len(set(text)) > 1


@pytest.mark.parametrize("size", [(1, 1), (1, 2), (7, 5), (80, 1)])
def test_every_size_has_the_right_shape(size: tuple[int, int]) -> None:
    """Width in cells, half the height in lines, rounded up."""
    width, height = size
    rgb = bytes(range(256))[: 3 * width * height].ljust(3 * width * height, b"\x10")
    for encode in (half_blocks, grey_levels):
        lines = list(encode(width, height, rgb))
        assert len(lines) == (height + 1) // 2
        assert {sum(len(text) for text, _, _ in line) for line in lines} == {width}


def test_pixels_are_square() -> None:
    """A cell is twice as high as wide."""
    assert pixel_size(10, 5) == (10, 10)


@pytest.mark.parametrize(
    ("count", "size", "columns"),
    [(1, (78, 17), 1), (4, (78, 17), 4), (8, (78, 17), 4), (4, (78, 60), 2), (16, (158, 38), 6)],
)
def test_layout_makes_pictures_as_large_as_possible(
    count: int, size: tuple[int, int], columns: int
) -> None:
    """Known cases; all tiles fit, and a row of captions fits below each row of pictures."""
    plan = layout(count, *size)
    assert plan.columns == columns
    assert plan.columns * plan.rows >= count
    assert plan.columns * (plan.width + 2) - 2 <= size[0]
    assert plan.rows * (plan.height + 1) <= size[1]
