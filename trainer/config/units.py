"""Values with a unit: resolutions, and step counts that may be a share of the run."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator

LARGEST = 1_000_000  # pixels of an edge, or megapixels: a slip, or a number that overflows
_RESOLUTION = re.compile(r"^\s*(\d+(?:\.\d+)?)\s*(px2|px|mp)\s*$")


@dataclass(frozen=True, slots=True)
class Resolution:
    """Size of training pictures: an area, or the length of the short edge.

    `1024px2` and `1.05mp` mean an area (the first as the edge of an equal-area square),
    `1024px` the short edge.
    """

    area: int | None
    edge: int | None

    @property
    def square(self) -> int:
        """Edge in pixels of the square picture at this resolution, before alignment."""
        if self.edge is not None:
            return self.edge
        assert self.area is not None
        return round(self.area**0.5)


def parse_resolution(text: str) -> Resolution:
    match = _RESOLUTION.match(text)
    if match is None:
        raise ValueError(f"{text!r} is not a resolution; write 1024px2 (area), 1.0mp or 1024px")
    number, unit = float(match[1]), match[2]
    if number <= 0:
        raise ValueError("a resolution is positive")
    if number > LARGEST:
        raise ValueError(f"no picture is as large as {text.strip()[:20]}")
    if unit == "px":
        return Resolution(area=None, edge=round(number))
    area = number * 1_000_000 if unit == "mp" else number * number
    return Resolution(area=round(area), edge=None)


def _checked(text: str) -> str:
    parse_resolution(text)
    return text


def _number_means_area(value: Any) -> Any:
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value}px2"
    return value


ResolutionText = Annotated[str, BeforeValidator(_number_means_area), AfterValidator(_checked)]


def _share(value: Any) -> Any:
    if isinstance(value, str) and value.endswith("%"):
        try:
            return float(value[:-1]) / 100.0
        except ValueError:
            raise ValueError(f"{value!r} is not a percentage") from None
    return value


StepsOrShare = Annotated[int | float, BeforeValidator(_share)]


def steps_of(value: int | float, total: int) -> int:
    """Whole steps: an integer is a count, a float in 0..1 a share of `total`."""
    return value if isinstance(value, int) else round(value * total)
