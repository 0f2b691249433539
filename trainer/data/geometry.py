"""From the size of a picture to what is trained on: target, resize, crop box, bucket.

One pure function, `place`, decides everything; the encoder, the size conditioning of SDXL and the
cache key read its result, so they cannot disagree. A bucket is the target size itself, so two
sizes never share a batch. All shapes get the same area (or the same short edge); nothing is
special about squares. The picture is resized by the smallest factor that covers the target, so
at most one axis is cut.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import floor, sqrt
from typing import Literal

MAX_ASPECT = 4.0  # longer pictures are cut to 4:1; beyond it a bucket would train on slivers

Bucket = tuple[int, int]  # width, height in pixels


@dataclass(frozen=True, slots=True, kw_only=True)
class GeometrySpec:
    """Training size: exactly one of `area` and `edge` (short edge), in pixels."""

    area: int | None = None
    edge: int | None = None
    align: int = 64
    aspect: Literal["preserve", "square"] = "preserve"
    position: Literal["center", "random", "corner"] = "center"


@dataclass(frozen=True, slots=True)
class Placement:
    """Resize the picture to `resize`, then cut `target` out of it at (`left`, `top`)."""

    target: Bucket
    resize: Bucket
    left: int
    top: int

    @property
    def box(self) -> tuple[int, int, int, int]:
        """Crop box within the resized picture: left, top, right, bottom."""
        return (self.left, self.top, self.left + self.target[0], self.top + self.target[1])


def place(
    width: int, height: int, spec: GeometrySpec, draw: tuple[float, float] = (0.5, 0.5)
) -> Placement:
    """Where a picture of `width` x `height` goes; `draw` in [0, 1) positions a random crop."""
    target = target_size(width, height, spec)
    resize = _cover(width, height, target)
    free_x, free_y = resize[0] - target[0], resize[1] - target[1]
    match spec.position:
        case "corner":
            left, top = 0, 0
        case "center":
            left, top = free_x // 2, free_y // 2
        case "random":
            left, top = floor(draw[0] * (free_x + 1)), floor(draw[1] * (free_y + 1))
    return Placement(target, resize, left, top)


def target_size(width: int, height: int, spec: GeometrySpec) -> Bucket:
    """The bucket of a picture: a pure function of its aspect."""
    assert min(width, height) > 0, "a picture has a size"
    assert (spec.area is None) != (spec.edge is None), "give an area or a short edge"
    ratio = 1.0 if spec.aspect == "square" else max(width, height) / min(width, height)
    long, short = _sides(min(ratio, MAX_ASPECT), spec)
    return (long, short) if width >= height else (short, long)


def _sides(ratio: float, spec: GeometrySpec) -> tuple[int, int]:
    """Aligned long and short side for an aspect `ratio` >= 1.

    For an area the short side follows from the rounded long one: fewer buckets, and an area
    closer to what was asked for than rounding both on their own.
    """
    if spec.edge is not None:
        return _aligned(spec.edge * ratio, spec.align), _aligned(spec.edge, spec.align)
    assert spec.area is not None
    long = _aligned(sqrt(spec.area * ratio), spec.align)
    if long == _aligned(sqrt(spec.area / ratio), spec.align):
        return long, long
    return long, min(long, _aligned(spec.area / long, spec.align))


def _aligned(length: float, align: int) -> int:
    return max(1, floor(length / align + 0.5)) * align


def _cover(width: int, height: int, target: Bucket) -> Bucket:
    """Smallest size of the picture's own shape that covers `target`."""
    if target[0] * height >= target[1] * width:  # the width decides
        return target[0], max(target[1], round(height * target[0] / width))
    return max(target[0], round(width * target[1] / height)), target[1]


def enlargement(width: int, height: int, placement: Placement) -> float:
    """Factor by which the picture is enlarged (1 or less: it is not)."""
    return max(placement.resize[0] / width, placement.resize[1] / height)


def kept_share(placement: Placement) -> float:
    """Share of the resized picture that the crop keeps."""
    kept = placement.target[0] * placement.target[1]
    return kept / (placement.resize[0] * placement.resize[1])


def place_like(
    partner: tuple[int, int], sample: tuple[int, int], placement: Placement
) -> Placement | None:
    """The sample's own box for a partner; None when it has another shape."""
    if abs(partner[0] * sample[1] - partner[1] * sample[0]) > max(*partner, *sample):
        return None
    return placement
