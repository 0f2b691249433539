"""Sheets of pictures: a grid of one step, and before beside after."""

from __future__ import annotations

from collections.abc import Sequence

from PIL import Image, ImageDraw, ImageFont

MARGIN = 8
LABEL_HEIGHT = 18
CELL = 192  # small pictures are enlarged to this, so that a grid is worth looking at
INK, PAPER = (30, 30, 30), (246, 246, 246)


def _cell(image: Image.Image) -> Image.Image:
    """Scale to the cell width; enlarging keeps the pixels of tiny pictures crisp."""
    width, height = image.size
    factor = CELL / max(width, height)
    size = (round(width * factor), round(height * factor))
    method = Image.Resampling.LANCZOS if factor < 1 else Image.Resampling.BICUBIC
    return image.resize(size, method)


def _fitting(draw: ImageDraw.ImageDraw, text: str, font: ImageFont.ImageFont, room: int) -> str:
    """The text, shortened with an ellipsis to `room` pixels."""
    if draw.textlength(text, font=font) <= room:
        return text
    while text and draw.textlength(text + "…", font=font) > room:
        text = text[:-1]
    return text.rstrip() + "…"


def grid(images: Sequence[Image.Image], *, columns: int, labels: Sequence[str] = ()) -> Image.Image:
    """Pictures in rows of `columns`, each with its label below."""
    cells = [_cell(image) for image in images]
    columns = max(1, min(columns, len(cells)))
    rows = -(-len(cells) // columns)
    row_height = CELL + MARGIN + (LABEL_HEIGHT if labels else 0)
    sheet = Image.new(
        "RGB", (columns * (CELL + MARGIN) + MARGIN, rows * row_height + MARGIN), PAPER
    )
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(12)
    for index, cell in enumerate(cells):
        x = MARGIN + index % columns * (CELL + MARGIN)
        y = MARGIN + index // columns * row_height
        sheet.paste(cell, (x + (CELL - cell.width) // 2, y))
        if labels:
            text = _fitting(draw, labels[index], font, CELL)  # type: ignore[arg-type]
            draw.text((x, y + CELL + 2), text, fill=INK, font=font)
    return sheet


def compare(
    before: Sequence[Image.Image], after: Sequence[Image.Image], prompts: Sequence[str]
) -> Image.Image:
    """Pairs of before and after, one prompt each, two pairs a row."""
    images = [picture for pair in zip(before, after, strict=True) for picture in pair]
    labels = [text for prompt in prompts for text in (f"before: {prompt}", f"after: {prompt}")]
    return grid(images, columns=4, labels=labels)
