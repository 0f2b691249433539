"""Which pictures a dataset refuses for their size or shape, and what is said of them."""

from __future__ import annotations

from typing import Literal

from trainer.data.geometry import (
    MIDDLE,
    Draw,
    GeometrySpec,
    enlargement,
    place,
    target_size,
)
from trainer.data.reference_geometry import rounded_aspect

MAX_RESIZED = 250_000_000  # pixels; a thread-like picture that covers a bucket would need more
_LONG = 3  # what is not longer never needs so many

Refusal = tuple[Literal["small", "aspect", "upscale"], str]  # the stage that stops it, and why


def refusal(
    width: int,
    height: int,
    spec: GeometrySpec,
    draw: Draw = MIDDLE,
) -> Refusal | None:
    """Why a picture is not trained on: the stage that stops it, and the reason."""
    if min(width, height) < spec.min_size:
        return "small", f"{width} x {height}"
    if spec.min_aspect is not None or spec.max_aspect is not None:
        aspect = _judged_aspect(width, height, spec, draw)
        if spec.min_aspect is not None and aspect < spec.min_aspect:
            return "aspect", f"{width} x {height} is narrower than {spec.min_aspect:g}"
        if spec.max_aspect is not None and aspect > spec.max_aspect:
            return "aspect", f"{width} x {height} is wider than {spec.max_aspect:g}"
    if max(width, height) > _LONG * min(width, height):
        across, down = place(width, height, spec, draw).resize
        if across * down > MAX_RESIZED:
            return "aspect", f"{width} x {height} would have to be resized to {across} x {down}"
    if spec.max_upscale is not None:
        factor = enlargement(width, height, place(width, height, spec, draw))
        if factor > spec.max_upscale:
            return "upscale", f"{width} x {height} would be enlarged {factor:.2f}x"
    return None


def _judged_aspect(width: int, height: int, spec: GeometrySpec, draw: Draw) -> float:
    """The picture's own aspect; the reference judges the rounded one of its bucket."""
    if spec.sizes == "native":
        return width / height
    return rounded_aspect(target_size(width, height, spec, draw), spec.digits)
