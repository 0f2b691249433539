"""What training will see of some samples: picture, the box cut out of it, caption."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from PIL import Image

from trainer.data.bad import BadSample
from trainer.data.geometry import kept_share
from trainer.data.item import Item
from trainer.data.survey.scan import Scanned
from trainer.data.survey.sheet import Box, Tile, draw_sheet, fitted, save_sheet
from trainer.data.survey.subject import Subject
from trainer.data.survey.watch import Watch
from trainer.errors import DataError
from trainer.findings import finding
from trainer.rng import stream_seed


def preview_document(
    subject: Subject,
    parts: Sequence[Scanned],
    watch: Watch,
    *,
    count: int,
    only: Sequence[str] = (),
    seed: int = 0,
    out: Path | None = None,
    thumbs: int = 0,
) -> dict[str, Any]:
    """`count` pictures or films drawn by `seed`, or those that `only` names (with * and ?).

    With `thumbs` each sample carries its picture, that many pixels along the longer edge.
    """
    chosen = list(_chosen(parts, count, only, seed))
    if only and not chosen:
        raise DataError(
            finding("DAT002", f"no usable sample is named {only[0]}", fix="names may hold * and ?")
        )
    tiles, samples = [], []
    for number, (part, row) in enumerate(chosen):
        watch.tick("reading pictures", number, len(chosen))
        item = part.table.item(row)
        picture = read(item)
        box = box_of(item)
        samples.append(_document(part, item, box) | _thumb(picture, box, thumbs))
        tiles.append(Tile(picture, item.relpath, _note(item), box))
    watch.tick("reading pictures", len(chosen), len(chosen))
    if out is not None:
        save_sheet(out, draw_sheet([("", tiles)]))
    return {"family": subject.facts.key, "sheet": str(out) if out else None, "samples": samples}


def _chosen(
    parts: Sequence[Scanned], count: int, only: Sequence[str], seed: int
) -> Iterator[tuple[Scanned, int]]:
    """Drawn by hash over all datasets, so each is there by its share; named ones in their order."""
    shown = [part for part in parts if part.dataset.kind in ("image", "video")]
    places = [(part, row) for part in shown for row in range(len(part.table))]
    if only:
        yield from (
            (part, row)
            for part, row in places
            if any(fnmatchcase(part.table.relpaths[row], pattern) for pattern in only)
        )
        return
    order = {
        number: stream_seed(seed, int(part.table.ids[row]), 0, "preview")
        for number, (part, row) in enumerate(places)
    }
    for number in sorted(sorted(order, key=order.__getitem__)[:count]):
        yield places[number]


def read(item: Item) -> Image.Image | None:
    """The picture, or the first frame taken of a film; None when it cannot be decoded."""
    from trainer.data.pixels import read_picture

    try:
        with item.open() as file:
            if item.kind == "image":
                return read_picture(file, item.background)
            from trainer.data.video_read import read_frames

            return Image.fromarray(read_frames(file, item.clip[:1], item.background)[0])
    except (BadSample, OSError):
        return None


def box_of(item: Item) -> Box:
    """What the crop keeps, as shares of the picture."""
    width, height = item.placement.resize
    left, top, right, bottom = item.placement.box
    return (left / width, top / height, right / width, bottom / height)


def _note(item: Item) -> str:
    across, down = item.placement.target
    caption = f"  {item.captions[0]}" if item.captions else ""
    return f"{item.width} x {item.height}, trained at {across} x {down}{caption}"


def _document(part: Scanned, item: Item, box: Box) -> dict[str, Any]:
    return {
        "dataset": part.dataset.id,
        "path": item.relpath,
        "width": item.width,
        "height": item.height,
        "bucket": list(item.placement.target),
        "box": [round(share, 4) for share in box],
        "kept": round(kept_share(item.placement), 4),
        "captions": list(item.captions),
    }


def _thumb(picture: Image.Image | None, box: Box, side: int) -> dict[str, Any]:
    if picture is None or side < 1:
        return {}
    small = fitted(picture, side, box)
    rgb = base64.b64encode(small.tobytes()).decode()
    return {"thumb": {"width": small.width, "height": small.height, "rgb": rgb}}
