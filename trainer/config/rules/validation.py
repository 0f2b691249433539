"""Rules on pictures and numbers made while training, and on resuming."""

from __future__ import annotations

import os
from collections.abc import Iterator

from trainer.catalog.facts import FamilyFacts
from trainer.config.rules.conditioning import flavour_name, looks_at_pictures
from trainer.config.rules.problem import Problem
from trainer.config.rules.sources import place_of
from trainer.config.schema.root import JobConfig
from trainer.config.suggest import nearest
from trainer.config.units import parse_resolution
from trainer.runs.layout import IDENTITY_FIELDS


def interval_needs_prompts(config: JobConfig, facts: FamilyFacts) -> Iterator[Problem]:
    validation = config.validation
    if validation.enabled and validation.every_steps and not validation.texts:
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
    multiple = facts.sample_multiple
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


def inputs_are_looked_at(config: JobConfig, facts: FamilyFacts) -> Iterator[Problem]:
    if config.validation.inputs and not looks_at_pictures(config, facts):
        name, instead = facts.display_name, "a family that edits pictures"
        if facts.editing:
            name, instead = flavour_name(config, facts), f"a flavour: {', '.join(facts.editing)}"
        yield Problem(
            code="CFG190",
            key="validation.inputs",
            message=f"{name} does not look at pictures, so there is nothing to make of these",
            fix=f"remove them, or train {instead}",
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
            idle=True,
            message='there is no dataset with role = "eval" to measure on',
            why="the held-out loss needs data that is not trained on",
            fix='give a [[data.datasets]] the key role = "eval"',
        )


def style_reference_usable(config: JobConfig, facts: FamilyFacts) -> Iterator[Problem]:
    folder = config.eval.style_reference
    if folder is None:
        return
    if not os.path.isdir(folder):
        yield Problem(
            code="DAT001",
            key="eval.style_reference",
            message=f"{folder} is not a folder",
            fix="name a folder of pictures",
        )
    if not config.validation.texts:
        yield Problem(
            code="CFG094",
            idle=True,
            key="eval.style_reference",
            message="the style distance is measured on validation pictures, and there are none",
            fix="add validation.prompts",
        )


def train_and_eval_apart(config: JobConfig, facts: FamilyFacts) -> Iterator[Problem]:
    trained = {place_of(d) for d in config.data.datasets if d.role == "train"}
    for index, dataset in enumerate(config.data.datasets):
        if dataset.role == "eval" and place_of(dataset) in trained:
            yield Problem(
                code="CFG095",
                key=f"data.datasets[{index}].{'path' if dataset.source is None else 'source'}",
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


def some_moment(config: JobConfig, facts: FamilyFacts) -> Iterator[Problem]:
    validation = config.validation
    moments = validation.at_start or validation.at_end or validation.every_steps
    if validation.texts and not moments:
        yield Problem(
            code="CFG101",
            key="validation.prompts",
            message="there are prompts, but no moment at which they are drawn",
            fix="set validation.every_steps or validation.at_end = true",
            patch={"validation.at_end": True},
        )


def keys_used_when_off(config: JobConfig, facts: FamilyFacts) -> Iterator[Problem]:
    validation = config.validation
    for key in sorted(validation.model_fields_set - {"enabled", "guidance"}):
        if not validation.enabled:
            yield Problem(
                code="CFG102",
                key=f"validation.{key}",
                level="info",
                idle=True,
                message="validation is turned off, so this has no effect",
                fix="set validation.enabled = true to use it",
            )


def negative_acts(config: JobConfig, facts: FamilyFacts) -> Iterator[Problem]:
    validation = config.validation
    guidance = facts.guidance if validation.guidance is None else validation.guidance
    if not (validation.enabled and validation.negative):
        return
    if guidance <= 1:
        yield Problem(
            code="CFG103",
            key="validation.negative",
            level="warn",
            idle=True,
            message=f"a negative prompt has no effect at guidance {guidance:g}",
            fix="raise validation.guidance above 1, or remove it",
        )
    elif "guidance_embed" in facts.supports:
        yield Problem(
            code="CFG104",
            key="validation.negative",
            level="warn",
            message=f"most {facts.display_name} checkpoints take guidance as an input",
            why="a negative prompt acts only on those that do not",
            fix="remove validation.negative unless the checkpoint is of that kind",
        )


def allowed_while_resuming(config: JobConfig, facts: FamilyFacts) -> Iterator[Problem]:
    if config.checkpoint.resume == "never" and config.checkpoint.allow:
        yield Problem(
            code="CFG105",
            key="checkpoint.allow",
            idle=True,
            message="the run never resumes, so nothing needs to be allowed",
            fix='remove checkpoint.allow, or set checkpoint.resume = "auto"',
            patch={"checkpoint.allow": None},
        )


RULES = (
    interval_needs_prompts,
    size_divisible,
    prompts_not_empty,
    inputs_are_looked_at,
    measuring_needs_held_out,
    style_reference_usable,
    train_and_eval_apart,
    allow_known,
    some_moment,
    keys_used_when_off,
    negative_acts,
    allowed_while_resuming,
)
