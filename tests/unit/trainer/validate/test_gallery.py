"""Sheets of pictures: places, labels, order."""

from __future__ import annotations

import pytest
from PIL import Image

from trainer.validate.gallery import CELL, LABEL_HEIGHT, MARGIN, PAPER, compare, grid

COLOURS = ["red", "lime", "blue", "yellow", "cyan"]


def flat(colour: str, size: tuple[int, int] = (64, 64)) -> Image.Image:
    return Image.new("RGB", size, colour)


def middle(sheet: Image.Image, row: int, column: int, *, labelled: bool) -> object:
    """Colour in the middle of a cell."""
    height = CELL + MARGIN + (LABEL_HEIGHT if labelled else 0)
    x = MARGIN + column * (CELL + MARGIN) + CELL // 2
    return sheet.getpixel((x, MARGIN + row * height + CELL // 2))


def test_pictures_stand_row_by_row() -> None:
    """The grid fills rows from the left, and the last row may be short."""
    sheet = grid([flat(c) for c in COLOURS], columns=3)
    assert sheet.size == (3 * (CELL + MARGIN) + MARGIN, 2 * (CELL + MARGIN) + MARGIN)
    assert middle(sheet, 0, 2, labelled=False) == (0, 0, 255)
    assert middle(sheet, 1, 1, labelled=False) == (0, 255, 255)
    assert middle(sheet, 1, 2, labelled=False) == PAPER


@pytest.mark.parametrize("size", [(64, 32), (300, 900), (1024, 1024), (1, 1)])
def test_every_shape_fits_its_cell(size: tuple[int, int]) -> None:
    """Small pictures are enlarged, large ones reduced, the shape is kept."""
    sheet = grid([flat("red", size)], columns=4)
    assert sheet.size == (CELL + 2 * MARGIN, CELL + 2 * MARGIN)
    red = sum(n for n, colour in sheet.getcolors(1 << 20) or [] if colour == (255, 0, 0))
    expected = CELL * CELL * min(size) / max(size)
    assert red == pytest.approx(expected, rel=0.02)


def test_labels_are_drawn_below_and_stay_in_their_column() -> None:
    """A label of any length, in any script, leaves its neighbour's column alone."""
    long = "ein sehr langer Text " * 20
    sheet = grid([flat("red"), flat("red")], columns=2, labels=[long, ""])
    below = MARGIN + CELL
    left = sheet.crop((0, below, MARGIN + CELL, sheet.height))
    right = sheet.crop((MARGIN + CELL, below, sheet.width, sheet.height))
    assert len(left.getcolors() or []) > 2
    assert (right.getcolors() or [])[0][1] == PAPER
    assert len(right.getcolors() or []) == 1


def test_compare_pairs_before_and_after() -> None:
    """Each prompt shows before on the left and after on the right."""
    sheet = compare([flat("red")] * 3, [flat("lime")] * 3, ["a", "b", "c"])
    rows = [[middle(sheet, r, c, labelled=True) for c in range(4)] for r in range(2)]
    red, lime = (255, 0, 0), (0, 255, 0)
    assert rows == [[red, lime, red, lime], [red, lime, PAPER, PAPER]]


def test_compare_refuses_sets_of_different_length() -> None:
    """A missing picture would pair the wrong ones, so it is an error."""
    with pytest.raises(ValueError, match="shorter"):
        compare([flat("red")], [], ["a"])
