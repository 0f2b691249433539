"""Rules on the longest side of pictures, for denoisers whose positions end somewhere.

Beyond the end a step would fail in the middle of a run, so a job in which such a picture may come
up is refused.
"""

from __future__ import annotations

from collections.abc import Iterator

from trainer.catalog.facts import FamilyFacts
from trainer.config.rules.geometry import LONGEST
from trainer.config.rules.problem import Problem
from trainer.config.rules.uses import Use, crop_uses
from trainer.config.schema.data import CropConfig
from trainer.config.schema.root import JobConfig
from trainer.config.units import parse_resolution


def longest_side_has_positions(config: JobConfig, facts: FamilyFacts) -> Iterator[Problem]:
    if facts.max_side is None:
        return
    for index, use in enumerate(crop_uses(config)):
        own = use.dataset.resolution
        text = own or config.data.defaults.resolution or f"{facts.default_resolution}px2"
        side = longest_side(text, longest_aspect(use))
        if use.dataset.kind == "image" and use.dataset.role != "mask" and side > facts.max_side:
            yield Problem(
                code="CFG240",
                key=f"data.datasets[{index}].resolution" if own else "data.defaults.resolution",
                message=f"at {text} a picture of dataset {use.dataset.id} may be {side} pixels "
                f"long, and {facts.display_name} knows positions up to {facts.max_side}",
                why="a step on such a picture would fail",
                fix="lower the resolution, or leave out long shapes by min_aspect and max_aspect "
                "of the dataset",
            )


def validation_has_positions(config: JobConfig, facts: FamilyFacts) -> Iterator[Problem]:
    text = config.validation.resolution
    if text is None or facts.max_side is None:
        return
    edge = parse_resolution(text).square
    if edge > facts.max_side:
        yield Problem(
            code="CFG240",
            key="validation.resolution",
            message=f"{facts.display_name} knows positions up to {facts.max_side} pixels",
            fix=f'use at most "{facts.max_side}px"',
            patch={"validation.resolution": f"{facts.max_side}px"},
        )


def longest_aspect(use: Use[CropConfig]) -> float:
    """Long side / short side of the longest picture that the settings of a dataset let through."""
    crop, dataset = use.value, use.dataset
    if crop.aspect == "square":
        return 1.0
    if crop.aspect in ("closest", "random") and crop.aspects:
        return max((max(a, 1 / a) for a in crop.aspects if a > 0), default=1.0)
    wide = dataset.max_aspect or LONGEST
    tall = 1 / dataset.min_aspect if dataset.min_aspect else LONGEST
    return min(LONGEST, max(1.0, wide, tall))


def longest_side(text: str, aspect: float) -> int:
    size = parse_resolution(text)
    if size.edge is not None:
        return round(size.edge * aspect)
    assert size.area is not None
    return round((size.area * aspect) ** 0.5)


RULES = (longest_side_has_positions, validation_has_positions)
