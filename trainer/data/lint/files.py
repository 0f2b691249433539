"""Files: damage, animation, transparency, colour, turn, and endings that lie."""

from __future__ import annotations

import os
from collections.abc import Iterator

from trainer.data.lint.flag import Flag, Group, Sample
from trainer.data.lint.measure import Measures

ENDINGS = {
    "JPEG": (".jpg", ".jpeg"),
    "MPO": (".jpg", ".jpeg", ".mpo"),
    "PNG": (".png",),
    "WEBP": (".webp",),
    "GIF": (".gif",),
    "BMP": (".bmp",),
    "DIB": (".bmp",),
    "TIFF": (".tif", ".tiff"),
    "AVIF": (".avif", ".heic", ".heif"),
    "HEIF": (".heic", ".heif", ".avif"),
}


def check_files(group: Group) -> Iterator[Flag]:
    for sample in group.samples:
        measures = sample.measures
        if measures is not None and measures.reason is not None:
            yield group.flag("DAT070", sample, measures.reason)
        elif measures is not None and group.dataset.kind == "image":
            yield from _picture(group, sample, measures)


def _picture(group: Group, sample: Sample, measures: Measures) -> Iterator[Flag]:
    if measures.frames > 1:
        yield group.flag("DAT071", sample, f"{measures.frames} frames")
    if measures.transparent > 0:
        yield group.flag("DAT072", sample, f"{measures.transparent:.0%} is not opaque")
    if measures.mode == "CMYK":
        yield group.flag("DAT073", sample, "CMYK")
    elif measures.profile:
        yield group.flag("DAT073", sample, f"colour profile {measures.profile}")
    if measures.orientation != 1:
        yield group.flag("DAT074", sample, f"orientation {measures.orientation}")
    ending = os.path.splitext(sample.relpath)[1].lower()
    right = ENDINGS.get(measures.format)
    if right and ending not in right:
        yield group.flag("DAT075", sample, f"{measures.format} with the ending {ending}")
