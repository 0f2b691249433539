"""Quality: enlarging, blur, exposure, bars, JPEG damage; the thresholds stand here."""

from __future__ import annotations

from collections.abc import Iterator

from trainer.data.geometry import enlargement, place
from trainer.data.lint.flag import Flag, Group
from trainer.data.lint.measure import Measures

ENLARGED = 1.25
SOFT = 0.05  # sharpness: about a Gaussian blur of 2 pixels
BLACK, WHITE = 40, 215  # 99 % darker, or 99 % brighter
CONTRAST = 20
BAR_PAIR = 0.015  # of the picture, on both sides
BAR_ALONE = 0.04
QUALITY = 35
BLOCKS = 1.2


def check_quality(group: Group) -> Iterator[Flag]:
    geometry = group.dataset.geometry
    for sample in group.sized:
        factor = enlargement(*sample.size, place(*sample.size, geometry))
        if factor > ENLARGED:
            size = f"{sample.facts.width} x {sample.facts.height}"
            yield group.flag("DAT008", sample, f"{size}, enlarged by {factor:.2f}")
    for sample in group.pictures:
        assert sample.measures is not None
        for code, detail in looks(sample.measures):
            yield group.flag(code, sample, detail)


def looks(measures: Measures) -> Iterator[tuple[str, str]]:
    """Remarks on the pixels alone."""
    badly_lit = exposure(measures)
    if badly_lit:
        yield "DAT079", badly_lit
    elif measures.sharpness is not None and measures.sharpness < SOFT:
        yield "DAT078", f"sharpness {measures.sharpness:.3f}"
    if sides := bars(measures):
        yield "DAT080", sides
    if damage := jpeg_damage(measures):
        yield "DAT081", damage


def exposure(measures: Measures) -> str:
    if measures.bright < BLACK:
        return f"almost black: 99 % below {measures.bright} of 255"
    if measures.dark > WHITE:
        return f"almost white: 99 % above {measures.dark} of 255"
    if measures.bright - measures.dark < CONTRAST:
        return f"no contrast: luminance {measures.dark} to {measures.bright} of 255"
    return ""


def bars(measures: Measures) -> str:
    left, top, right, bottom = measures.bars
    pair = min(left, right) >= BAR_PAIR or min(top, bottom) >= BAR_PAIR
    if not pair and max(measures.bars) < BAR_ALONE:
        return ""
    named = zip(("left", "top", "right", "bottom"), measures.bars, strict=True)
    return ", ".join(f"{side} {share:.1%}" for side, share in named if share >= BAR_PAIR)


def jpeg_damage(measures: Measures) -> str:
    if measures.jpeg_quality is not None and measures.jpeg_quality <= QUALITY:
        return f"JPEG quality about {measures.jpeg_quality}"
    if measures.blocks > BLOCKS:
        return f"blocks of 8 x 8 pixels stand out ({measures.blocks:.1f})"
    return ""
