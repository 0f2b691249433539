"""What geometry is told and what it answers: plain records, and the draws that vary a crop."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from itertools import accumulate
from typing import Literal, NamedTuple

from trainer.config.units import Resolution
from trainer.rng import stream_seed, unit

Bucket = tuple[int, int]  # width, height in pixels
Focus = tuple[float, float]  # centre of what a crop keeps, as shares of width and height


class Draw(NamedTuple):
    """Three draws in [0, 1): where a random crop lies, and which of the given shapes it has."""

    x: float = 0.5
    y: float = 0.5
    shape: float = 0.0


def drawn(seed: int, picture: int, variant: int = 0) -> Draw:
    """The draws of one variant of one picture.

    The variants of a picture lie in different places but have one shape, so that they share a
    bucket.
    """
    x, y = (unit(stream_seed(seed, picture, variant, f"crop-{axis}")) for axis in "xy")
    return Draw(x, y, unit(stream_seed(seed, picture, 0, "crop-shape")))


@dataclass(frozen=True, slots=True)
class Downsample:
    """Pictures larger than `above` are resized to `to` before the cut."""

    above: Resolution
    to: Resolution


_LIMITS = frozenset({"min_size", "min_aspect", "max_aspect", "max_upscale"})


@dataclass(frozen=True, slots=True, kw_only=True)
class GeometrySpec:
    """Training size: exactly one of `area` and `edge` (short edge), in pixels; then how pictures
    are cut to it, which ones are refused, and what only reference sizes need."""

    area: int | None = None
    edge: int | None = None
    align: int = 64
    sizes: Literal["native", "reference"] = "native"
    aspect: Literal["preserve", "square", "closest", "random"] = "preserve"
    aspects: tuple[float, ...] = ()  # width / height, for closest and random
    weights: tuple[float, ...] = ()  # of `aspects`; empty: all alike
    position: Literal["center", "random", "corner", "face"] = "center"
    downsample: Downsample | None = None
    min_size: int = 1  # short edge
    min_aspect: float | None = None
    max_aspect: float | None = None
    max_upscale: float | None = None
    digits: int = 2  # reference: of a rounded aspect
    canvas: int | None = None  # reference: largest area a family can hold
    stored: tuple[tuple[float, Bucket], ...] = ()  # reference: see `with_stored_sizes`

    def settings(self) -> tuple[tuple[str, object], ...]:
        """Everything that shapes a sample and is not at its default, for digests: a new key must
        not end the runs that came before it. What is refused shapes no other sample."""
        return tuple(
            (field.name, value)
            for field in fields(self)
            if field.name not in _LIMITS and (value := getattr(self, field.name)) != field.default
        )

    @property
    def varied(self) -> bool:
        """The bucket depends on the draw, not on the picture's size alone."""
        return self.aspect == "random" and len(self.aspects) > 1

    @property
    def moved(self) -> bool:
        """The place of the crop depends on the draw."""
        return self.position in ("random", "face")


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


def shape_number(spec: GeometrySpec, shape: float) -> int:
    """Which of `aspects` a draw in [0, 1) picks; rows of one size and number share a bucket."""
    weights: Sequence[float] = spec.weights or (1.0,) * len(spec.aspects)
    sums = list(accumulate(weights))
    return next(i for i, total in enumerate(sums) if shape * sums[-1] < total)


def cover(width: int, height: int, target: Bucket) -> Bucket:
    """Smallest size of the picture's own shape that covers `target`."""
    if target[0] * height >= target[1] * width:  # the width decides
        return target[0], max(target[1], round(height * target[0] / width))
    return max(target[0], round(width * target[1] / height)), target[1]
