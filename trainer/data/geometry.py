"""From the size of a picture to what is trained on: target, resize, crop box, bucket.

One pure function, `place`, decides everything; the encoder, the size conditioning of SDXL and the
cache key read its result, so they cannot disagree. A bucket is the target size itself, so two
sizes never share a batch. All shapes get the same area (or the same short edge); nothing is
special about squares. The picture is resized by the smallest factor that covers the target, so
at most one axis is cut, unless `downsample` asks for a larger picture to be cut from.

Jobs that come from SimpleTuner may keep its sizes (`sizes = "reference"`); their rules are in
`reference_geometry`.
"""

from __future__ import annotations

from math import floor, log, sqrt

from trainer.data.geometry_spec import (
    Bucket,
    Downsample,
    Draw,
    Focus,
    GeometrySpec,
    Placement,
    cover,
    drawn,
    shape_number,
)
from trainer.data.reference_geometry import reference_sizes

__all__ = [
    "MAX_ASPECT",
    "MIDDLE",
    "Bucket",
    "Downsample",
    "Draw",
    "Focus",
    "GeometrySpec",
    "Placement",
    "drawn",
    "enlargement",
    "kept_share",
    "place",
    "place_into",
    "place_like",
    "shape_number",
    "target_size",
]

MIDDLE = Draw()
MAX_ASPECT = 4.0  # longer pictures are cut to 4:1; beyond it a bucket would train on slivers


def place(
    width: int,
    height: int,
    spec: GeometrySpec,
    draw: Draw = MIDDLE,
    focus: Focus | None = None,
) -> Placement:
    """Where a picture of `width` x `height` goes.

    `draw` decides what is random in it. `focus` is what a crop of position `face` keeps; a
    picture in which no face was found is cut at random.
    """
    target, resize = _sizes(width, height, spec, draw.shape)
    return _cut_out(target, resize, spec, draw, focus)


def place_into(
    target: Bucket,
    width: int,
    height: int,
    spec: GeometrySpec,
    draw: Draw = MIDDLE,
    focus: Focus | None = None,
) -> Placement:
    """Where a picture goes that is cut to the bucket `target` instead of its own."""
    return _cut_out(target, cover(width, height, target), spec, draw, focus)


def _cut_out(
    target: Bucket, resize: Bucket, spec: GeometrySpec, draw: Draw, focus: Focus | None
) -> Placement:
    free_x, free_y = resize[0] - target[0], resize[1] - target[1]
    if spec.position == "corner":
        left, top = 0, 0
    elif spec.position == "center":
        left, top = free_x // 2, free_y // 2
    elif spec.position == "face" and focus is not None:
        left = min(max(round(focus[0] * resize[0] - target[0] / 2), 0), free_x)
        top = min(max(round(focus[1] * resize[1] - target[1] / 2), 0), free_y)
    else:
        left, top = floor(draw.x * (free_x + 1)), floor(draw.y * (free_y + 1))
    return Placement(target, resize, left, top)


def target_size(
    width: int,
    height: int,
    spec: GeometrySpec,
    draw: Draw = MIDDLE,
) -> Bucket:
    """The bucket of a picture: a function of its size and, where shapes are drawn, of the draw."""
    if spec.sizes == "reference":
        return reference_sizes(width, height, spec, draw.shape)[0]
    return _target(width, height, spec, draw.shape)


def _sizes(width: int, height: int, spec: GeometrySpec, shape: float) -> tuple[Bucket, Bucket]:
    """Target and resized size."""
    if spec.sizes == "reference":
        return reference_sizes(width, height, spec, shape)
    target = _target(width, height, spec, shape)
    return target, _resized(width, height, target, spec.downsample)


# --- native sizes ------------------------------------------------------------------------------


def _target(width: int, height: int, spec: GeometrySpec, shape: float) -> Bucket:
    assert min(width, height) > 0, "a picture has a size"
    assert (spec.area is None) != (spec.edge is None), "give an area or a short edge"
    if spec.aspect in ("closest", "random"):
        aspect = _given(width, height, spec, shape)
        ratio, wide = max(aspect, 1 / aspect), aspect >= 1.0
    else:
        ratio = 1.0 if spec.aspect == "square" else max(width, height) / min(width, height)
        wide = width >= height
    long, short = _sides(min(ratio, MAX_ASPECT), spec)
    return (long, short) if wide else (short, long)


def _given(width: int, height: int, spec: GeometrySpec, shape: float) -> float:
    """One of the given aspects: drawn, or the one of which the picture loses least.

    Distance is measured on a logarithmic scale, so that a picture and its turned twin get shapes
    that are turned alike; of two at the same distance the first in the list is taken.
    """
    assert spec.aspects, "lint demands aspects"
    if spec.aspect == "random":
        return spec.aspects[shape_number(spec, shape)]
    own = log(width / height)
    return min(spec.aspects, key=lambda aspect: round(abs(log(aspect) - own), 12))


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


def _resized(width: int, height: int, target: Bucket, downsample: Downsample | None) -> Bucket:
    """The smallest cover, or the larger size that a large picture is cut from."""
    smallest = cover(width, height, target)
    if downsample is None or not _larger(width, height, downsample):
        return smallest
    to = downsample.to
    scale = sqrt(to.area / (width * height)) if to.area else (to.edge or 0) / min(width, height)
    scale = min(scale, 1.0)  # made smaller, never larger
    return max(smallest[0], round(width * scale)), max(smallest[1], round(height * scale))


def _larger(width: int, height: int, downsample: Downsample) -> bool:
    above = downsample.above
    if above.area is not None:
        return width * height > above.area
    return min(width, height) > (above.edge or 0)


def enlargement(width: int, height: int, placement: Placement) -> float:
    """Factor by which the picture is enlarged (1 or less: it is not)."""
    return max(placement.resize[0] / width, placement.resize[1] / height)


def kept_share(placement: Placement) -> float:
    """Share of the resized picture that the crop keeps."""
    kept = placement.target[0] * placement.target[1]
    return kept / (placement.resize[0] * placement.resize[1])


# --- partners --------------------------------------------------------------------------------


def place_like(partner: Bucket, sample: Bucket, placement: Placement) -> Placement | None:
    """The placement of a strict partner (mask, control picture) of a sample; None when it has
    another shape.

    It is the sample's own: resized to the same size, a partner of any size shows the same
    things in the same places, as long as both have one shape. The shapes may differ by what
    rounding to whole pixels explains.
    """
    across, down = partner[0] * sample[1], partner[1] * sample[0]
    return placement if abs(across - down) <= max(*partner, *sample) else None
