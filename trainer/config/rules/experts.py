"""Rules on drawing with experts of a part of the noise levels."""

from __future__ import annotations

from collections.abc import Iterator

from trainer.catalog.facts import FamilyFacts
from trainer.config.rules.problem import Problem
from trainer.config.schema.root import JobConfig


def trained_levels_can_be_drawn(config: JobConfig, facts: FamilyFacts) -> Iterator[Problem]:
    part, validation = config.noise.interval, config.validation
    if validation.levels == "all" or part.low >= part.high:
        return
    if "experts" not in facts.supports:
        yield Problem(
            code="CFG225",
            key="validation.levels",
            message=f"{facts.display_name} always draws all noise levels here",
            why="no sampler of it can begin or end in between",
            fix='remove validation.levels, or set it to "all"',
            patch={"validation.levels": None},
        )
    elif (part.low, part.high) == (0.0, 1.0):
        yield Problem(
            code="CFG226",
            key="validation.levels",
            idle=True,
            message="all noise levels are trained, so all are drawn anyway",
            fix="set noise.interval, or remove validation.levels",
            patch={"validation.levels": None},
        )


def other_expert_fits(config: JobConfig, facts: FamilyFacts) -> Iterator[Problem]:
    part, validation = config.noise.interval, config.validation
    if validation.other_model is None:
        return
    if validation.levels == "all":
        yield Problem(
            code="CFG226",
            key="validation.other_model",
            idle=True,
            message="the trained model draws all noise levels, so no other is asked",
            fix='set validation.levels = "trained", or remove validation.other_model',
            patch={"validation.other_model": None},
        )
    elif part.low > 0.0 and part.high < 1.0:
        yield Problem(
            code="CFG227",
            key="validation.other_model",
            message=f"levels {part.low:g} to {part.high:g} are trained, which leaves two parts to "
            "one other model",
            why="pictures are drawn by two experts at most",
            fix="train down to 0 or up to 1, or remove validation.other_model",
        )


def some_step_is_drawn(config: JobConfig, facts: FamilyFacts) -> Iterator[Problem]:
    part, validation = config.noise.interval, config.validation
    steps = validation.steps * (part.high - part.low)
    if validation.texts and validation.levels == "trained" and steps < 1:
        least = int(1.0 / (part.high - part.low)) + 1 if part.low < part.high else 0
        if least:
            yield Problem(
                code="CFG228",
                key="validation.steps",
                message=f"of {validation.steps} steps none lies in the trained noise levels",
                why="steps are spread over all of them, and only those inside are taken",
                fix=f"use at least {least}",
                patch={"validation.steps": least},
            )


RULES = (trained_levels_can_be_drawn, other_expert_fits, some_step_is_drawn)
