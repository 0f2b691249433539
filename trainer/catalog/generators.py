"""What conditioning pictures can be made of, and with which settings.

A generator turns a picture into another of the same size: edges, depth, a damaged copy, a mask.
Its code lies below `trainer.data.conditioning` and is loaded when it is used. `version` is part of
cache keys: raise it when the same settings give other pixels.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Shape = Literal["rectangle", "circle", "brush", "irregular"]
SHAPES: tuple[Shape, ...] = ("rectangle", "circle", "brush", "irregular")


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """One setting. The type of the default is that of the value; a list has items like its own."""

    default: Any
    doc: str
    kind: type | None = None  # of an option whose default is None
    low: float | None = None
    high: float | None = None
    choices: tuple[str, ...] = ()
    only_with: tuple[str, Any] | None = None  # acts only when another option has this value
    length: int | None = None  # of a list
    path: bool = False

    @property
    def type(self) -> type:
        return self.kind or type(self.default)


@dataclass(frozen=True, slots=True, kw_only=True)
class GeneratorEntry:
    """What the configuration needs to know about a generator without importing it."""

    path: str
    summary: str
    version: int = 1
    options: Mapping[str, Option] = field(default_factory=dict)
    makes: Literal["conditioning", "mask"] = "conditioning"  # what the partner is used as
    kinds: tuple[str, ...] = ("image", "video")
    draws: bool = False  # whether the seed matters
    needs: tuple[str, ...] = ()  # options without a usable default
    ordered: tuple[tuple[str, str], ...] = ()  # pairs of which the first is at most the second


_CODE = "trainer.data.conditioning"

GENERATORS: dict[str, GeneratorEntry] = {
    "canny": GeneratorEntry(
        path=f"{_CODE}.canny:canny",
        summary="edges, white on black",
        options={
            "low": Option(default=50.0, low=0, high=2040, doc="gradient that continues an edge"),
            "high": Option(default=100.0, low=0, high=2040, doc="gradient that starts an edge"),
            "blur": Option(
                default=0.0, low=0, high=20, doc="radius in pixels smoothed before, against noise"
            ),
        },
        ordered=(("low", "high"),),
    ),
    "depth": GeneratorEntry(
        path=f"{_CODE}.depth:Depth",
        summary="depth by a model, near is white",
        options={
            "model": Option(
                default=None,
                kind=str,
                path=True,
                doc="folder or hub id of a depth model of transformers (DPT, Depth Anything)",
            ),
            "invert": Option(default=False, doc="near is black"),
        },
        needs=("model",),
    ),
    "low_resolution": GeneratorEntry(
        path=f"{_CODE}.low_resolution:low_resolution",
        summary="the picture as a small or bad copy shows it",
        options={
            "downscale_factor": Option(
                default=1.0, low=1, high=64, doc="made smaller by this and enlarged again"
            ),
            "blur_radius": Option(default=2.0, low=0, high=100, doc="of the blur, in pixels"),
            "blur_type": Option(
                default="gaussian", choices=("gaussian", "box", "both"), doc="how it is blurred"
            ),
            "noise_level": Option(
                default=0.02, low=0, high=1, doc="standard deviation, as a share of white; 0: none"
            ),
            "jpeg_quality": Option(
                default=None, kind=int, low=1, high=95, doc="compressed at the end; default: not"
            ),
        },
        draws=True,
    ),
    "jpeg": GeneratorEntry(
        path=f"{_CODE}.jpeg:jpeg",
        summary="the picture with the damage of JPEG compression",
        options={
            "quality_mode": Option(
                default="fixed",
                choices=("fixed", "range", "list"),
                doc="one quality, one drawn from a range, or one of a list",
            ),
            "quality": Option(
                default=25, low=1, high=95, only_with=("quality_mode", "fixed"), doc="of all"
            ),
            "quality_range": Option(
                default=[10, 50],
                low=1,
                high=95,
                length=2,
                only_with=("quality_mode", "range"),
                doc="least and greatest",
            ),
            "quality_list": Option(
                default=[10, 20, 30, 40],
                low=1,
                high=95,
                only_with=("quality_mode", "list"),
                doc="one is drawn",
            ),
            "compression_rounds": Option(default=1, low=1, high=20, doc="times it is compressed"),
            "round_quality_decay": Option(
                default=0.9, low=0.01, high=1, doc="factor on the quality from round to round"
            ),
        },
        draws=True,
    ),
    "random_masks": GeneratorEntry(
        path=f"{_CODE}.random_masks:random_masks",
        summary="a mask of random shapes; what is white counts in the loss",
        options={
            "mask_types": Option(default=list(SHAPES), choices=SHAPES, doc="shapes that are drawn"),
            "min_coverage": Option(default=0.1, low=0, high=1, doc="least share in the shapes"),
            "max_coverage": Option(default=0.5, low=0, high=1, doc="greatest share in the shapes"),
            "min_masks": Option(default=1, low=1, high=100, doc="fewest shapes"),
            "max_masks": Option(default=5, low=1, high=100, doc="most shapes"),
            "feather": Option(default=0.0, low=0, high=200, doc="soft edge, radius in pixels"),
            "invert": Option(default=False, doc="the shapes are black on white"),
        },
        makes="mask",
        draws=True,
        ordered=(("min_coverage", "max_coverage"), ("min_masks", "max_masks")),
    ),
    "first_frame": GeneratorEntry(
        path=f"{_CODE}.first_frame:first_frame",
        summary="the first frame of a video",
        kinds=("video",),
    ),
}

MASK_OPTIONS: dict[str, Option] = {
    "segmentation": Option(
        default=False, doc="every colour but black counts fully, instead of the red of the picture"
    ),
    "invert": Option(default=False, doc="what is black counts"),
}
"""Settings of a partner that is a mask of another dataset."""


def all_options() -> Iterator[tuple[str, str, Option]]:
    """Generator (or "mask"), name and record of every option."""
    for whose, entry in GENERATORS.items():
        yield from ((whose, name, option) for name, option in entry.options.items())
    yield from (("mask", name, option) for name, option in MASK_OPTIONS.items())


def filled(options: Mapping[str, Option], given: Mapping[str, Any]) -> dict[str, Any]:
    """The given settings and the defaults of all others, in the order of the table."""
    assert given.keys() <= options.keys(), "lint refuses unknown settings"
    return {name: option_value(option, given.get(name)) for name, option in options.items()}


def option_value(option: Option, given: Any) -> Any:
    """The value in force; a whole number where a fraction is meant becomes one."""
    value = option.default if given is None else given
    return float(value) if option.type is float and value is not None else value


def wrong_value(option: Option, value: Any) -> str | None:
    """What the value should have been, or None when it is right."""
    if option.type is list:
        right = isinstance(value, list) and value and all(_fits(option, v) for v in value)
        if right and option.length in (None, len(value)):
            return None
        return f"a list of {option.length or 'one or more'} items, each {expected(option)}"
    return None if _fits(option, value) else expected(option)


def _item_type(option: Option) -> type:
    return type(option.default[0]) if option.type is list else option.type


def _fits(option: Option, value: Any) -> bool:
    kind = _item_type(option)
    if isinstance(value, bool) and kind is not bool:
        return False
    if not isinstance(value, (int, float) if kind is float else kind):
        return False
    if option.choices and value not in option.choices:
        return False
    if kind in (int, float):  # a comparison with NaN is false
        low, high = option.low, option.high
        return (low is None or value >= low) and (high is None or value <= high)
    return value != ""


_WORDS = {bool: "true or false", int: "a whole number", float: "a number", str: "a text"}


def expected(option: Option) -> str:
    """Type and bounds of a value, or of an item of a list, in words."""
    if option.choices:
        return f"one of {', '.join(option.choices)}"
    words = _WORDS[_item_type(option)]
    if option.low is not None and option.high is not None:
        words += f" from {option.low:g} to {option.high:g}"
    return words


def described(option: Option) -> str:
    """One line on an option for `stune explain`."""
    default = option.default
    if isinstance(default, bool):
        default = str(default).lower()
    elif isinstance(default, list):
        default = f"[{', '.join(map(str, default))}]"
    return f"{option.doc}; {expected(option)}" + (f"; {default}" if default is not None else "")
