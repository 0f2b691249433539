"""The pictures that the linter remarks on, as a contact sheet: one section for each kind."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from trainer.data.bad import BadSample
from trainer.data.lint.flag import Flag
from trainer.data.lint.texts import TEXTS
from trainer.data.survey.scan import Scanned
from trainer.data.survey.sheet import Tile, draw_sheet, save_sheet
from trainer.data.survey.watch import Watch
from trainer.findings import LEVELS

MOST = 24  # pictures of one section
CAPTIONS = ("DAT084", "DAT085", "DAT086", "DAT087", "DAT088", "DAT089")  # nothing to see


def write_sheet(path: Path, parts: Sequence[Scanned], flags: Sequence[Flag], watch: Watch) -> None:
    """Write the sheet; with nothing to show it says so."""
    by_code: dict[str, list[Flag]] = defaultdict(list)
    pictures = {part.dataset.id for part in parts if part.dataset.kind == "image"}
    for flag in flags:
        if flag.dataset in pictures and flag.code not in CAPTIONS:
            by_code[flag.code].append(flag)
    codes = sorted(by_code, key=lambda code: (-LEVELS.index(TEXTS[code].level), code))
    shown = {code: by_code[code][:MOST] for code in codes}
    wanted = {(flag.dataset, flag.path) for own in shown.values() for flag in own}
    images = _read(parts, wanted, watch)
    sections = [
        (
            f"{code}: {TEXTS[code].what} ({len(by_code[code])})",
            [Tile(images.get((f.dataset, f.path)), f.path, f.detail) for f in own],
        )
        for code, own in shown.items()
    ]
    save_sheet(path, draw_sheet(sections or [("nothing to show: no remark on a picture", [])]))


def _read(
    parts: Sequence[Scanned], wanted: set[tuple[str, str]], watch: Watch
) -> dict[tuple[str, str], Image.Image]:
    """Small pictures, each read once."""
    from trainer.data.pixels import read_picture

    found: dict[tuple[str, str], Image.Image] = {}
    for part in parts:
        dataset = part.dataset
        for row in part.rows():
            key = (dataset.id, row.relpath)
            if key not in wanted:
                continue
            watch.tick("drawing the sheet", len(found), len(wanted))
            try:
                with dataset.source.open(row.relpath, row.locator) as file:
                    picture = read_picture(file, dataset.background)
            except (BadSample, OSError):
                continue
            picture.thumbnail((512, 512))
            found[key] = picture
    return found
