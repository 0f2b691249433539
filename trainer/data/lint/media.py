"""Films and recordings: too few frames, uneven rate, missing sound, odd lengths."""

from __future__ import annotations

from collections.abc import Iterator
from statistics import median

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
    need = max(group.video.min_frames, group.video.frames or 1)
    offered = frames_offered(sample, group.video.fps)
    if offered < need:
        at = f" at {group.video.fps:g} fps" if group.video.fps else ""
        yield group.flag("DAT093", sample, f"{offered} frames{at}, {need} are needed")
    if sample.measures is not None and sample.measures.uneven:
        yield group.flag("DAT094", sample, f"{sample.fps:.3g} frames a second on average")
    if group.needs_sound and not sample.channels:
        yield group.flag("DAT095", sample, "no sound track")


def frames_offered(sample: Sample, fps: float | None) -> int:
    """Frames of a film when they are picked at `fps`, which is never above its own rate."""
    if fps is None or sample.fps <= fps:
        return sample.frames
    return max(1, round(sample.frames * fps / sample.fps)) if sample.frames else 0


def _odd_lengths(group: Group) -> Iterator[Flag]:
    timed = [s for s in group.samples if s.duration_s > 0]
    if len(timed) < FEW:
        return
    middle = median(s.duration_s for s in timed)
    odd = [s for s in timed if not middle / ODD <= s.duration_s <= middle * ODD]
    if len(odd) > RARE * len(timed):
        return
    for sample in odd:
        yield group.flag(
            "DAT096", sample, f"{sample.duration_s:.3g} s, the median is {middle:.3g} s"
        )
