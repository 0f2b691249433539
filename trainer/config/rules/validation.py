"""Rules on pictures and numbers made while training, and on resuming."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from trainer.catalog.facts import FamilyFacts
from trainer.config.rules.problem import Problem
from trainer.config.schema.root import JobConfig
from trainer.config.suggest import nearest
from trainer.config.units import parse_resolution
from trainer.runs.layout import IDENTITY_FIELDS


def interval_needs_prompts(config: JobConfig, facts: FamilyFacts) -> Iterator[Problem]:
    validation = config.validation
    if validation.enabled and validation.every_steps and not validation.prompts:
        yield Problem(
            code="CFG090",
            key="validation.every_steps",
            message="validation has an interval but no prompts",
            why="nothing would be drawn",
            fix='add validation.prompts = ["…"]',
        )


def size_divisible(config: JobConfig, facts: FamilyFacts) -> Iterator[Problem]:
    if config.validation.resolution is None:
        return
    multiple = 2 * facts.spatial_factor
    edge = parse_resolution(config.validation.resolution).square
    if edge % multiple:
        near = max(multiple, round(edge / multiple) * multiple)
        yield Problem(
            code="CFG091",
            key="validation.resolution",
            message=f"{edge} pixels cannot be divided by {multiple}",
            why="the pipeline refuses such sizes",
            fix=f'use "{near}px"',
            patch={"validation.resolution": f"{near}px"},
        )


def prompts_not_empty(config: JobConfig, facts: FamilyFacts) -> Iterator[Problem]:
    for index, prompt in enumerate(config.validation.prompts):
        if not prompt.strip():
            yield Problem(
                code="CFG092",
                key="validation.prompts",
                level="warn",
                message=f"prompt {index + 1} is empty",
                fix="write what to draw, or remove it",
            )


def measuring_needs_held_out(config: JobConfig, facts: FamilyFacts) -> Iterator[Problem]:
    held_out = any(d.role == "eval" for d in config.data.datasets)
    asked = config.eval.model_fields_set & {"every_steps", "samples", "timesteps"}
    if config.eval.style_reference is not None:
        asked -= {"every_steps"}  # the style distance has the same interval
    if asked and not held_out:
        yield Problem(
            code="CFG093",
            key=f"eval.{min(asked)}",
            message='there is no dataset with role = "eval" to measure on',
            why="the held-out loss needs data that is not trained on",
            fix='give a [[data.datasets]] the key role = "eval"',
        )


def style_reference_usable(config: JobConfig, facts: FamilyFacts) -> Iterator[Problem]:
    folder = config.eval.style_reference
    if folder is None:
        return
    if not Path(folder).is_dir():
        yield Problem(
            code="DAT001",
            key="eval.style_reference",
            message=f"{folder} is not a folder",
            fix="name a folder of pictures",
        )
    if not (config.validation.enabled and config.validation.prompts):
        yield Problem(
            code="CFG094",
            key="eval.style_reference",
            message="the style distance is measured on validation pictures, and there are none",
            fix="add validation.prompts",
        )


def train_and_eval_apart(config: JobConfig, facts: FamilyFacts) -> Iterator[Problem]:
    trained = {str(Path(d.path)) for d in config.data.datasets if d.role == "train"}
    for index, dataset in enumerate(config.data.datasets):
        if dataset.role == "eval" and str(Path(dataset.path)) in trained:
            yield Problem(
                code="CFG095",
                key=f"data.datasets[{index}].path",
                message=f"dataset {dataset.id} measures on pictures that are trained on",
                why="the held-out loss would only show memory",
                fix="hold some pictures back",
            )


def allow_known(config: JobConfig, facts: FamilyFacts) -> Iterator[Problem]:
    for field in config.checkpoint.allow:
        if field not in IDENTITY_FIELDS:
            near = nearest(field, IDENTITY_FIELDS)
            yield Problem(
                code="CFG096",
                key="checkpoint.allow",
                message=f"{field!r} is no identity field",
                fix=(f"did you mean {near[0]!r}? " if near else "")
                + f"known: {', '.join(IDENTITY_FIELDS)}",
            )


RULES = (
    interval_needs_prompts,
    size_divisible,
    prompts_not_empty,
    measuring_needs_held_out,
    style_reference_usable,
    train_and_eval_apart,
    allow_known,
)
