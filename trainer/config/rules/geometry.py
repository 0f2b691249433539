"""Rules on crops, sizes and what is refused for them."""

from __future__ import annotations

from collections.abc import Iterator

from trainer.catalog.facts import FamilyFacts
from trainer.config.rules.kinds import PARTNERS
from trainer.config.rules.problem import Problem
from trainer.config.rules.uses import Use, crop_uses, idle_keys, unread
from trainer.config.schema.data import CropConfig, DatasetConfig, DownsampleConfig
from trainer.config.schema.root import JobConfig
from trainer.config.units import Resolution, parse_resolution

LONGEST = 4.0  # shapes beyond it are cut in any case
CUTS = ("resolution", "crop", "downsample")
LIMITS = ("min_size", "min_aspect", "max_aspect", "max_upscale")


def aspects_given(config: JobConfig, facts: FamilyFacts) -> Iterator[Problem]:
    for use in crop_uses(config):
        crop = use.value
        if crop.aspect in ("closest", "random") and not crop.aspects:
            yield Problem(
                code="CFG140",
                key=use.key("aspect"),
                message=f"aspect {crop.aspect} without shapes to choose from",
                fix="add aspects, as [0.75, 1.0, 1.33]",
            )
        for aspect in crop.aspects:
            if not 1 / LONGEST <= aspect <= LONGEST:
                yield Problem(
                    code="CFG143",
                    key=use.key("aspects"),
                    message=f"{aspect:g} is no shape that is trained on",
                    why="an aspect is width / height, and longer ones would train on slivers",
                    fix=f"use values from {1 / LONGEST:g} to {LONGEST:g}",
                )


def weights_fit(config: JobConfig, facts: FamilyFacts) -> Iterator[Problem]:
    for use in crop_uses(config):
        crop = use.value
        if not crop.weights or crop.aspect != "random":
            continue
        problem = None
        if len(crop.weights) != len(crop.aspects):
            problem = f"{len(crop.weights)} weights for {len(crop.aspects)} aspects"
        elif min(crop.weights) < 0 or sum(crop.weights) <= 0:
            problem = "weights are not negative, and one is above 0"
        if problem:
            yield Problem(
                code="CFG142",
                key=use.key("weights"),
                message=problem,
                fix="give one weight for each aspect, or remove weights",
            )


def crop_keys_used(config: JobConfig, facts: FamilyFacts) -> Iterator[Problem]:
    for key, reason in idle_keys(crop_uses(config), _why_idle):
        yield Problem(
            code="CFG141",
            key=key,
            idle=True,
            message=f"{key.rpartition('.')[2]} has no effect: {reason}",
            fix=f"remove {key.rpartition('.')[2]}",
            patch={key: None},
        )


def _why_idle(name: str, use: Use[CropConfig]) -> str | None:
    crop = use.value
    if name == "aspects" and crop.aspects and crop.aspect in ("preserve", "square"):
        return f"aspect {crop.aspect} chooses no shape"
    if name == "weights" and crop.weights and crop.aspect != "random":
        return f"aspect {crop.aspect} draws no shape"
    if name == "variants" and crop.variants > 1 and crop.position in ("center", "corner"):
        return f"all crops at position {crop.position} are the same"
    return None


def shared_crop_read(config: JobConfig, facts: FamilyFacts) -> Iterator[Problem]:
    for key in unread(crop_uses(config)):
        yield Problem(
            code="CFG156",
            key=key,
            idle=True,
            message=f"every dataset sets its own {key.rpartition('.')[2]}",
            fix=f"remove {key}",
            patch={key: None},
        )


def downsample_makes_smaller(config: JobConfig, facts: FamilyFacts) -> Iterator[Problem]:
    for index, dataset in enumerate(config.data.datasets):
        large = dataset.downsample
        if large is None:
            continue
        key = f"data.datasets[{index}].downsample"
        above, to = parse_resolution(large.above), parse_resolution(large.to)
        if (_excess(to, above) or 0) > 0:
            yield Problem(
                code="CFG144",
                key=f"{key}.to",
                message=f"{large.to} is larger than {large.above}",
                why="pictures are made smaller before the cut, never larger",
                fix="lower to, or raise above",
            )
        text = dataset.resolution or config.data.defaults.resolution
        gain = None if text is None else _excess(to, parse_resolution(text))
        if text is not None and gain is not None and gain <= 0:
            yield _no_larger(key, large, text)
        if config.data.geometry == "reference":
            yield Problem(
                code="CFG149",
                key=f"{key}.above",
                level="info",
                message="reference sizes downsample every picture, also those below `above`",
                why="that is what SimpleTuner does, in spite of its documentation",
                fix='nothing to do, or set data.geometry = "native"',
            )


def _no_larger(key: str, large: DownsampleConfig, text: str) -> Problem:
    return Problem(
        code="CFG145",
        key=f"{key}.to",
        idle=True,
        message=f"{large.to} is not above the training size {text}, so nothing is downsampled",
        fix="raise to, or remove downsample",
        patch={key: None},
    )


def _excess(one: Resolution, other: Resolution) -> int | None:
    """By how much one is larger, in the unit that both have; None where the units differ."""
    if (one.area is None) != (other.area is None):
        return None
    return (one.area or one.edge or 0) - (other.area or other.edge or 0)


def aspect_limits_leave_some(config: JobConfig, facts: FamilyFacts) -> Iterator[Problem]:
    for index, dataset in enumerate(config.data.datasets):
        low, high = dataset.min_aspect, dataset.max_aspect
        if low is not None and high is not None and low > high:
            yield Problem(
                code="CFG146",
                key=f"data.datasets[{index}].min_aspect",
                message=f"no picture is wider than {low:g} and narrower than {high:g}",
                fix="exchange min_aspect and max_aspect",
            )


def align_fits_family(config: JobConfig, facts: FamilyFacts) -> Iterator[Problem]:
    needed = facts.size_multiple
    align = config.data.align
    if align is not None and align % needed:
        near = max(needed, round(align / needed) * needed)
        yield Problem(
            code="CFG147",
            key="data.align",
            message=f"{facts.display_name} needs multiples of {needed} pixels, not of {align}",
            why="the grid that it works on has cells of that size",
            fix=f"use {near}, or remove data.align",
            patch={"data.align": near},
        )


def sizes_of_pictures(config: JobConfig, facts: FamilyFacts) -> Iterator[Problem]:
    for index, dataset in enumerate(config.data.datasets):
        for name in sorted(dataset.model_fields_set & {*CUTS, *LIMITS}):
            reason = _why_unsized(config, dataset, name)
            if reason is not None:
                yield Problem(
                    code="CFG148",
                    key=f"data.datasets[{index}].{name}",
                    idle=True,
                    message=f"{name} has no effect: {reason}",
                    fix=f"remove {name}",
                    patch={f"data.datasets[{index}].{name}": None},
                )


def _why_unsized(config: JobConfig, dataset: DatasetConfig, name: str) -> str | None:
    if dataset.kind in ("audio", "caption"):
        return f"dataset {dataset.id} holds no pictures"
    entries = [c for d in config.data.datasets for c in d.conditioning if c.dataset == dataset.id]
    strict = bool(entries) and all(entry.match == "strict" for entry in entries)
    if dataset.role in PARTNERS and strict and name in CUTS:
        return "strict partners are cut exactly as their samples"
    return None


RULES = (
    aspects_given,
    weights_fit,
    crop_keys_used,
    shared_crop_read,
    downsample_makes_smaller,
    aspect_limits_leave_some,
    align_fits_family,
    sizes_of_pictures,
)
