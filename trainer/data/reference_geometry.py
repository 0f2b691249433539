"""Training sizes as SimpleTuner chooses them, for imported jobs (data.md 4.1 to 4.4).

Aspects are rounded to `digits` decimals before a size is made of them, lengths are rounded to
multiples of `align` half to even, and squares get a size of their own ("P"), which for 0.5 and 2
megapixels is larger than that of other shapes. A picture is first resized to an intermediary size
of its own shape and then cut; the intermediary grows by whole pixels where rounding left it short.

What is done differently, on purpose:

- The reference keeps, for each rounded aspect, the first size that any picture got, so its sizes
  depend on the order of a scan. Here that table is an argument (`GeometrySpec.stored`, filled
  by `with_stored_sizes`); without it each picture keeps the size it would have stored itself.
  At 64 pixels, two decimals and up to one megapixel, no two sizes between 1:4 and 4:1 compete for
  one aspect; elsewhere a few tall ones do.
- Where the reference cuts beyond the picture's edge (an intermediary narrower than a forced
  square), the intermediary is enlarged to cover the target.
- With a short edge, "P" is aligned like all other lengths.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from math import sqrt

from trainer.config.units import Resolution
from trainer.data.geometry_spec import Bucket, GeometrySpec, cover, shape_number

_SQUARES = {0.25: 512**2, 0.5: 768**2, 1.0: 1024**2, 2.0: 1536**2, 4.0: 2048**2}
_NEAR = 0.05  # megapixels within which one of these is meant


def reference_sizes(
    width: int, height: int, spec: GeometrySpec, shape: float
) -> tuple[Bucket, Bucket]:
    """Target and resized size of a picture."""
    own = rounded_aspect((width, height), spec.digits)
    square = _square(spec)
    if spec.aspect == "square":
        edge = min(_limited((square, square), spec))
        target: Bucket = (edge, edge)
        middle, final = _size(1.0, width, height, spec)[1], 1.0
    else:
        target, middle = _size(_chosen(own, spec, shape), width, height, spec)
        target = _limited(target, spec)
        final = rounded_aspect(target, spec.digits)
        target = (square, square) if final == 1.0 else target
    if final == 1.0 and middle[0] < square:
        middle = (square, square)  # a nearly square picture is stretched
    if spec.downsample is not None and _resized_before_cut(width, height, target, spec):
        middle = _downsampled(own, width, height, target, spec)
    return target, _covering(middle, target, width, height)


def rounded_aspect(size: Bucket, digits: int) -> float:
    """The name of a bucket in the reference; never 0, which no size could be made of."""
    return max(round(size[0] / size[1], digits), 10.0**-digits)


def with_stored_sizes(spec: GeometrySpec, sizes: Iterable[Bucket]) -> GeometrySpec:
    """The spec that gives every picture the size that the first one of its aspect got.

    `sizes` are those of the pictures, in the order in which they are met.
    """
    stored: dict[float, Bucket] = {}
    plain = replace(spec, stored=())
    for width, height in sizes:
        own = rounded_aspect((width, height), spec.digits)
        for aspect in _possible(own, spec):
            target, _ = _size(aspect, width, height, plain)
            stored.setdefault(rounded_aspect(target, spec.digits), target)
    return replace(spec, stored=tuple(sorted(stored.items())))


def _possible(own: float, spec: GeometrySpec) -> tuple[float, ...]:
    if spec.aspect == "square":
        return (1.0,)
    return spec.aspects if spec.aspect == "random" else (_chosen(own, spec, 0.0),)


def _chosen(own: float, spec: GeometrySpec, shape: float) -> float:
    if spec.aspect == "closest":
        return min(spec.aspects, key=lambda aspect: abs(aspect - own))
    return spec.aspects[shape_number(spec, shape)] if spec.aspect == "random" else own


def _size(aspect: float, width: int, height: int, spec: GeometrySpec) -> tuple[Bucket, Bucket]:
    """Target and intermediary for an aspect, by area or by short edge."""
    if spec.edge is not None:
        return _by_edge(aspect, spec.edge, width, height, spec.align)
    assert spec.area is not None
    return _by_area(aspect, spec.area, width, height, spec)


def _by_area(
    aspect: float, area: int, width: int, height: int, spec: GeometrySpec
) -> tuple[Bucket, Bucket]:
    edge = _aligned(int(sqrt(area / 1e6 * 1e6)), spec.align)
    if aspect == 1.0 and width == height:
        return (edge, edge), (edge, edge)
    target = (
        _aligned(edge * sqrt(aspect), spec.align),
        _aligned(edge / sqrt(aspect), spec.align),
    )
    if area == spec.area:
        target = dict(spec.stored).get(rounded_aspect(target, spec.digits), target)
    return target, _intermediary(target, width, height)


def _by_edge(
    aspect: float, edge: int, width: int, height: int, align: int
) -> tuple[Bucket, Bucket]:
    sides = (edge, int(edge / aspect)) if width < height else (int(edge * aspect), edge)
    target = (_aligned(sides[0], align), _aligned(sides[1], align))
    return target, _intermediary(target, width, height)


def _intermediary(target: Bucket, width: int, height: int) -> Bucket:
    """A size in the picture's own shape, from the target's short side."""
    ratio = width / height
    if target[0] < target[1]:
        across, down = target[0], int(target[0] / ratio)
    else:
        across, down = int(target[1] * ratio), target[1]
    if across < target[0]:
        more = target[0] - across
        return target[0], down + int(more / ratio)
    if down < target[1]:
        more = target[1] - down
        return across + int(more * ratio), target[1]
    return across, down


def _square(spec: GeometrySpec) -> int:
    """Edge of what a square trains at."""
    if spec.edge is not None:
        return _aligned(spec.edge, spec.align)
    return _aligned(sqrt(_target_area(spec)), spec.align)


def _target_area(spec: GeometrySpec) -> float:
    assert spec.area is not None
    megapixels = spec.area / 1e6
    near = (area for key, area in _SQUARES.items() if abs(megapixels - key) < _NEAR)
    return next(near, megapixels * 1e6)


def _limited(size: Bucket, spec: GeometrySpec) -> Bucket:
    """Within the canvas of the family: scaled, then one step less on the longer side, and on the
    other if that is not enough."""
    if spec.canvas is None or size[0] * size[1] <= spec.canvas:
        return size
    scale = sqrt(spec.canvas / (size[0] * size[1]))
    width, height = (_aligned(int(side * scale), spec.align) for side in size)
    wide = width >= height
    for shorten_width in (wide, not wide):
        if width * height > spec.canvas:
            width, height = (
                (width - spec.align, height) if shorten_width else (width, height - spec.align)
            )
    return width, height


def _resized_before_cut(width: int, height: int, target: Bucket, spec: GeometrySpec) -> bool:
    """What the reference tests is not `downsample.above`, but whether the size differs."""
    if spec.edge is not None:
        return (width, height) != (spec.edge, spec.edge)
    return width * height != _target_area(spec) or width < target[0] or height < target[1]


def _downsampled(own: float, width: int, height: int, target: Bucket, spec: GeometrySpec) -> Bucket:
    """The intermediary of the downsample size, never smaller than the target."""
    assert spec.downsample is not None
    across, down = _intermediary_for(spec.downsample.to, own, width, height, spec)
    if across < target[0]:
        return target[0], int(down * (target[0] / across))
    if down < target[1]:
        return int(across * (target[1] / down)), target[1]
    return across, down


def _intermediary_for(
    size: Resolution, own: float, width: int, height: int, spec: GeometrySpec
) -> Bucket:
    if size.edge is not None:
        return _by_edge(own, size.edge, width, height, spec.align)[1]
    assert size.area is not None
    return _by_area(own, size.area, width, height, spec)[1]


def _covering(size: Bucket, target: Bucket, width: int, height: int) -> Bucket:
    covers = size[0] >= target[0] and size[1] >= target[1]
    return size if covers else cover(width, height, target)


def _aligned(length: float, align: int) -> int:
    return max(align, int(round(length / align) * align))
