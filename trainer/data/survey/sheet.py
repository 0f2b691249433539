"""Contact sheets: pictures in a grid, each with its name and a line about it, as one PNG."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

CELL = 224  # side of the square a picture is fitted into
GAP = 12
LINE = 15
COLUMNS = 6
PAPER, INK, SOFT, FRAME = "#16181d", "#e8e8e8", "#9aa0aa", "#ffb000"
FONT = ImageFont.load_default(11)

Box = tuple[float, float, float, float]  # left, top, right, bottom as shares of the picture


@dataclass(frozen=True, slots=True)
class Tile:
    """One picture of the sheet; `box` is drawn around what the crop keeps."""

    picture: Image.Image | None
    title: str
    note: str
    box: Box | None = None


def fitted(picture: Image.Image, side: int, box: Box | None = None) -> Image.Image:
    """The picture with at most `side` pixels along its longer edge, its crop box drawn."""
    scale = side / max(picture.size)
    size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
    small = picture.resize(size, Image.Resampling.BOX if scale < 1 else Image.Resampling.BICUBIC)
    if box is not None and box != (0.0, 0.0, 1.0, 1.0):
        corners = [round(share * edge) for share, edge in zip(box, (*size, *size), strict=True)]
        left, top, right, bottom = corners
        outline = (left, top, max(left, right - 1), max(top, bottom - 1))
        ImageDraw.Draw(small).rectangle(outline, outline=FRAME, width=max(1, side // 100))
    return small


def draw_sheet(sections: Sequence[tuple[str, Sequence[Tile]]]) -> Image.Image:
    """All sections below each other, each with its heading."""
    across = max(1, min(COLUMNS, max((len(tiles) for _, tiles in sections), default=1)))
    row = CELL + 2 * LINE + GAP
    heights = [(2 * LINE if heading else 0) + -(-len(t) // across) * row for heading, t in sections]
    width = max(across * (CELL + GAP) + GAP, 2 * (CELL + GAP) + GAP)
    sheet = Image.new("RGB", (width, sum(heights) + 2 * GAP), PAPER)
    draw = ImageDraw.Draw(sheet)
    top = GAP
    for (heading, tiles), height in zip(sections, heights, strict=True):
        if heading:
            draw.text((GAP, top), _cut(draw, heading, width - 2 * GAP), INK, FONT)
        below = top + (2 * LINE if heading else 0)
        for number, tile in enumerate(tiles):
            left = GAP + number % across * (CELL + GAP)
            _draw_tile(sheet, draw, tile, left, below + number // across * row)
        top += height
    return sheet


def _draw_tile(sheet: Image.Image, draw: ImageDraw.ImageDraw, tile: Tile, x: int, y: int) -> None:
    if tile.picture is None:
        draw.rectangle((x, y, x + CELL - 1, y + CELL - 1), outline=SOFT)
        draw.text((x + 8, y + 8), "cannot be shown", SOFT, FONT)
    else:
        small = fitted(tile.picture, CELL, tile.box)
        sheet.paste(small, (x + (CELL - small.width) // 2, y + (CELL - small.height) // 2))
    draw.text((x, y + CELL + 1), _cut(draw, tile.title, CELL), INK, FONT)
    draw.text((x, y + CELL + 1 + LINE), _cut(draw, tile.note, CELL), SOFT, FONT)


def _cut(draw: ImageDraw.ImageDraw, text: str, width: int) -> str:
    """The end of a long text matters least, of a name the beginning: both ends are kept."""
    if draw.textlength(text, FONT) <= width:
        return text
    keep = len(text)
    while keep > 2 and draw.textlength(_shortened(text, keep), FONT) > width:
        keep -= 1
    return _shortened(text, keep)


def _shortened(text: str, keep: int) -> str:
    head = (keep + 1) // 2
    return f"{text[:head]}…{text[len(text) - (keep - head) :]}"


def save_sheet(path: Path, sheet: Image.Image) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    sheet.save(path, "PNG")
