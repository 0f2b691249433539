"""The verb data preview: pictures with their crop, in the terminal or as a contact sheet."""

from __future__ import annotations

import base64
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

from sttui.cli import narrate, output
from sttui.cli.dataset import FAMILY, KIND, PLACE, PLAIN, RESOLUTION, is_plain, question
from sttui.cli.failure import usage
from sttui.cli.options import SET
from sttui.format.columns import Column, column
from sttui.images.ascii import grey_levels
from sttui.images.blocks import Cell, half_blocks

CELLS = 38  # columns of one picture: two stand side by side on 80
SIDE_BY_SIDE = 2


def _edges(name: str) -> Any:
    return lambda s: s[name] if name == "bucket" else [s["width"], s["height"]]


def _times(name: str) -> Any:
    return lambda s: "×".join(map(str, _edges(name)(s)))


COLUMNS = (
    column("dataset"),
    column("path"),
    Column("size", _edges("size"), _times("size"), right=True),
    Column("bucket", _edges("bucket"), _times("bucket"), right=True),
    Column("kept", lambda s: s["kept"], lambda s: f"{s['kept']:.0%}", right=True),
    Column("caption", lambda s: s["captions"], lambda s: (s["captions"] or [""])[0]),
)


def preview(
    place: str = PLACE,
    set_: list[str] = SET,
    family: str | None = FAMILY,
    resolution: str | None = RESOLUTION,
    kind: str = KIND,
    count: int = typer.Option(12, "--count", min=1, help="How many samples are drawn."),
    seed: int = typer.Option(0, "--seed", help="Another seed draws others."),
    only: list[str] = typer.Option(
        [], "--only", metavar="NAME", help="These samples instead; * and ? stand for letters."
    ),
    out: Path | None = typer.Option(
        None, "--out", metavar="FILE.png", help="Write a contact sheet with names and crop boxes."
    ),
    plain: bool = PLAIN,
) -> None:
    """Show what training will see of some samples: picture, crop box, caption.

    On a terminal the pictures are drawn in it; elsewhere they are listed.
    """
    if kind == "audio":
        raise usage("recordings have no pictures", fix="stune data stats shows their lengths")
    drawn = output.for_people() and output.is_terminal() and out is None
    more = ["--count", str(count), "--seed", str(seed)]
    more += ["--out", str(out)] if out else []
    more += ["--thumbs", str(CELLS)] if drawn else []
    for name in only:
        more += ["--only", name]
    found = question("preview", place, set_, family, resolution, kind, *more)
    samples = found.data["samples"]
    if drawn:
        output.raw("\n".join(_drawn(samples, is_plain(plain))) + "\n")
        return
    if output.current.machine:
        output.document(found.schema, found.data, findings=found.findings)
    else:
        output.table(found.schema, samples, COLUMNS, id="path")
    if out is not None:
        narrate.say(f"contact sheet: {out}")


def _drawn(samples: list[dict[str, Any]], plain: bool) -> Iterator[str]:
    """Two pictures side by side, their names below."""
    for start in range(0, len(samples), SIDE_BY_SIDE):
        part = samples[start : start + SIDE_BY_SIDE]
        pictures = [list(_lines(sample.get("thumb"), plain)) for sample in part]
        for number in range(max(map(len, pictures))):
            cells = [p[number] if number < len(p) else " " * CELLS for p in pictures]
            yield "  ".join(cells).rstrip(" ")
        yield "  ".join(_fit(sample["path"]) for sample in part).rstrip()
        yield "  ".join(_fit(_facts(sample)) for sample in part).rstrip()
        yield ""


def _lines(thumb: dict[str, Any] | None, plain: bool) -> Iterator[str]:
    """Lines of CELLS columns; colour unless it is not wanted."""
    if thumb is None:
        yield _fit("(cannot be shown)")
        return
    width, height = thumb["width"], thumb["height"]
    rgb = base64.b64decode(thumb["rgb"])
    draw = grey_levels if plain or os.environ.get("NO_COLOR") else half_blocks
    for cells in draw(width, height, rgb):
        yield "".join(map(_cell, cells)) + " " * (CELLS - width)


def _cell(cell: Cell) -> str:
    text, front, back = cell
    if front is None:
        return text
    colours = f"\x1b[38;2;{front[0]};{front[1]};{front[2]}m"
    if back is not None:
        colours += f"\x1b[48;2;{back[0]};{back[1]};{back[2]}m"
    return f"{colours}{text}\x1b[0m"


def _facts(sample: dict[str, Any]) -> str:
    return f"{_times('size')(sample)} → {_times('bucket')(sample)}, {sample['kept']:.0%} kept"


def _fit(text: str) -> str:
    return f"{text[: CELLS - 1]}…" if len(text) > CELLS else text.ljust(CELLS)
