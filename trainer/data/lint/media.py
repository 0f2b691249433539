"""Films and recordings: too few frames, uneven rate, missing sound, odd lengths."""

from __future__ import annotations

from collections.abc import Iterator
from statistics import median

from trainer.data.frames import available
from trainer.data.lint.flag import Flag, Group, Sample

FEW = 10  # recordings below which none is called odd
ODD = 4.0  # times longer or shorter than the median …
RARE = 0.1  # … as long as no more than this share is


def check_media(group: Group) -> Iterator[Flag]:
    if group.dataset.kind == "video":
        for sample in group.samples:
            yield from _film(group, sample)
    if group.dataset.kind in ("video", "audio"):
        yield from _odd_lengths(group)


def _film(group: Group, sample: Sample) -> Iterator[Flag]:
    video, facts = group.dataset.video, sample.facts
    need, offered = max(video.min_frames, video.frames or 1), available(facts, video)
    if offered < need:
        at = f" at {video.fps:g} fps" if video.fps else ""
        yield group.flag("DAT093", sample, f"{offered} frames{at}, {need} are needed")
    if sample.measures is not None and sample.measures.uneven:
        yield group.flag("DAT094", sample, f"{facts.fps:.3g} frames a second on average")
    if group.needs_sound and not facts.channels:
        yield group.flag("DAT095", sample, "no sound track")


def _odd_lengths(group: Group) -> Iterator[Flag]:
    timed = [s for s in group.samples if s.facts.duration_s > 0]
    if len(timed) < FEW:
        return
    middle = median(s.facts.duration_s for s in timed)
    odd = [s for s in timed if not middle / ODD <= s.facts.duration_s <= middle * ODD]
    if len(odd) > RARE * len(timed):
        return
    for sample in odd:
        yield group.flag(
            "DAT096", sample, f"{sample.facts.duration_s:.3g} s, the median is {middle:.3g} s"
        )
