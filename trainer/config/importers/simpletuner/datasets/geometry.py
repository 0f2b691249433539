"""Sizes: resolution with its unit, crop, limits."""

from __future__ import annotations

from math import floor, sqrt
from typing import Any

from trainer.config.importers import values
from trainer.config.importers.simpletuner.datasets.entry import Entry
from trainer.config.importers.simpletuner.translation import Translation

UNITS = {"pixel": "px", "area": "mp", "pixel_area": "px2"}
_CROPS = ("crop_style", "crop_aspect", "crop_aspect_buckets")
_LIMITS = ("minimum_image_size", "maximum_image_size", "target_downsample_size")
_ASPECTS = {"minimum_aspect_ratio": "min_aspect", "maximum_aspect_ratio": "max_aspect"}


def is_size(value: float | None) -> bool:
    """Whether a number can be a size, in pixels or megapixels."""
    return value is not None and 0 < value < 100_000


def size_text(value: float, unit: str) -> str:
    """`1024px2`, `0.5mp` or `768px`."""
    digits = f"{value:.6f}".rstrip("0").rstrip(".")
    return f"{digits}{UNITS[unit]}"


def shared_size(t: Translation) -> None:
    """The resolution that datasets share, and how sizes are found."""
    unit = _unit(t.read("resolution_type", "text"))
    if unit is None:
        t.refuse("resolution_type", f"it is none of {', '.join(UNITS)}")
        unit = "pixel_area"
    value = t.read("resolution", "float")
    if is_size(value) and t.put("resolution", "data.defaults.resolution", size_text(value, unit)):
        t.source.mapped("resolution_type", "data.defaults.resolution")
    else:
        t.refuse("resolution", "it is not a size")
    t.ignore(["resolution_type"], "there is no size that it could apply to")
    align = t.read("aspect_bucket_alignment", "int")
    whole = t.facts.whole_pixels if t.facts else 1
    fitting = -(-align // whole) * whole
    note = f"SimpleTuner has multiples of {align}, which are no whole latents here"
    differs = fitting != align
    t.put(
        "aspect_bucket_alignment",
        "data.align",
        fitting,
        note=note if differs else "",
        approx=differs,
    )
    t.draft.set("data.geometry", "reference")


def _unit(text: str | None) -> str | None:
    name = (text or "").strip().lower()
    return name if name in UNITS else None


def geometry(entry: Entry) -> None:
    names = ("resolution", "resolution_type", "crop", *_CROPS, *_LIMITS, *_ASPECTS)
    if entry.kind not in ("image", "video"):
        entry.ignore(names, f"{entry.kind} samples have no size")
        return
    unit = _own_unit(entry)
    if entry.given("resolution") or entry.given("resolution_type"):
        _resolution(entry, unit)
    square = _crop(entry)
    _least(entry, unit, square)
    _downsample(entry, unit)
    for name, key in _ASPECTS.items():
        entry.carry(name, key, "float", float)


def _own_unit(entry: Entry) -> str:
    shared = _unit(entry.run.read("resolution_type", "text")) or "pixel_area"
    if not entry.given("resolution_type"):
        return shared
    unit = _unit(entry.read("resolution_type", "text"))
    if unit is None:
        entry.refuse("resolution_type", f"it is none of {', '.join(UNITS)}")
    return unit or shared


def _resolution(entry: Entry, unit: str) -> None:
    value = entry.read("resolution", "float")
    value = entry.run.read("resolution", "float") if value is None else value
    if not is_size(value):
        entry.refuse("resolution", "it is not a size")
        return
    entry.put("resolution", "resolution", size_text(value, unit))
    entry.source.mapped("resolution_type", f"{entry.path}.resolution")


def _crop(entry: Entry) -> bool:
    """Whether pictures are cut square; a text counts as true, whatever it says."""
    raw = entry.source.value("crop") if entry.given("crop") else False
    on = bool(raw) if isinstance(raw, str | int | float) else False
    if isinstance(raw, str) and values.boolean(raw) is False:
        entry.tell(
            "IMP010",
            f'dataset {entry.id}: crop is the text "{raw}", which SimpleTuner takes for true',
            "crop",
            why="so its pictures are cut there, and here as well",
            fix="if no crop was meant, remove [data.datasets.crop]",
            level="warn",
        )
    if not on:
        entry.source.mapped("crop", f"{entry.path}.crop", "off: the whole picture is used")
        entry.ignore(_CROPS, "crop is off")
        return False
    entry.source.mapped("crop", f"{entry.path}.crop")
    style = entry.read("crop_style", "text", "random").strip().lower()
    position = "center" if style == "centre" else style
    entry.put("crop_style", "crop.position", position)
    aspect = entry.read("crop_aspect", "text", "square").strip().lower()
    if entry.put("crop_aspect", "crop.aspect", aspect) and aspect in ("closest", "random"):
        _aspects(entry)
    entry.ignore(("crop_aspect_buckets",), f"it has no effect on {aspect}")
    return aspect == "square"


def _aspects(entry: Entry) -> None:
    """Shapes as numbers, or as tables with a weight; three spellings are in use."""
    given = values.structure(entry.source.value("crop_aspect_buckets"))
    shapes: list[float] = []
    weights: list[float] = []
    for item in given if isinstance(given, list) else ():
        table = item if isinstance(item, dict) else {"aspect": item}
        spelt = (table.get(n) for n in ("aspect", "aspect_ratio", "aspect_bucket") if n in table)
        shape = values.number(next(spelt, None))
        weight = values.number(table.get("weight", 1.0))
        if shape is None or weight is None:
            entry.refuse("crop_aspect_buckets", "an item is no shape")
            return
        shapes.append(float(shape))
        weights.append(float(weight))
    if entry.put("crop_aspect_buckets", "crop.aspects", shapes) and len(set(weights)) > 1:
        entry.set("crop.weights", weights)


def _limit(entry: Entry, name: str) -> tuple[float | None, bool]:
    """A limit of the entry, else the run's; and whether it is the entry's."""
    if entry.given(name):
        return entry.read(name, "float"), True
    return entry.run.read(name, "float"), False


def _settle(entry: Entry, own: bool, name: str, key: str, note: str) -> None:
    target = entry.source if own else entry.run.source
    path = f"{entry.path}.{key}" if own else f"data.datasets[].{key}"
    target.settle(name, "approximated" if note else "mapped", path, note)


def _least(entry: Entry, unit: str, square: bool) -> None:
    """The least size as a short edge in pixels."""
    value, own = _limit(entry, "minimum_image_size")
    if value is None or not is_size(value):
        return
    if unit == "area" and value > 5:
        reason = "SimpleTuner refuses more than 5 megapixels"
        entry.refuse("minimum_image_size", reason) if own else None
        return
    edge = floor(sqrt(value * 1_000_000)) if unit == "area" else floor(value)
    note = ""
    if unit != "pixel" and not square:
        note = f"an area of {size_text(value, unit)} there, its square root as short edge here"
    if edge >= 1:
        entry.set("min_size", edge, note)
        _settle(entry, own, "minimum_image_size", "min_size", note)


def _downsample(entry: Entry, unit: str) -> None:
    above, own = _limit(entry, "maximum_image_size")
    to, _ = _limit(entry, "target_downsample_size")
    if not entry.run.draft.get(f"{entry.path}.crop"):
        note = "it has no effect without crop"
        entry.ignore(("maximum_image_size", "target_downsample_size"), note)
        return
    if above is None or to is None or not (is_size(above) and is_size(to)):
        return
    note = "SimpleTuner applies it to every picture that is not of the training size"
    entry.set("downsample.above", size_text(above, unit), note)
    entry.set("downsample.to", size_text(to, unit))
    _settle(entry, own, "maximum_image_size", "downsample.above", note)
    _settle(entry, own, "target_downsample_size", "downsample.to", note)


def leftover_limits(t: Translation) -> None:
    """Limits of the run that no dataset took."""
    names: Any = ("minimum_image_size", "maximum_image_size", "target_downsample_size")
    t.ignore(names, "no dataset makes use of it")
