"""Rules on datasets; missing folders are data errors, the rest configuration errors."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from trainer.catalog.facts import FamilyFacts
from trainer.config.rules.problem import Problem
from trainer.config.schema.root import JobConfig
from trainer.config.units import parse_resolution


def some_data(config: JobConfig, facts: FamilyFacts) -> Iterator[Problem]:
    if not any(d.role == "train" for d in config.data.datasets):
        yield Problem(
            code="CFG080",
            key="data.datasets",
            message="there is no dataset to train on",
            fix='add [[data.datasets]] with id = "mine" and path = "FOLDER"',
        )


def ids_unique(config: JobConfig, facts: FamilyFacts) -> Iterator[Problem]:
    for name, count in Counter(d.id for d in config.data.datasets).items():
        if count > 1:
            yield Problem(
                code="CFG081",
                key="data.datasets",
                message=f"{count} datasets have the id {name!r}",
                why="caches and positions are kept by id",
                fix="give each its own id",
            )


def folders_exist(config: JobConfig, facts: FamilyFacts) -> Iterator[Problem]:
    for index, dataset in enumerate(config.data.datasets):
        path = Path(dataset.path)
        if not path.is_dir():
            what = "is not a folder" if path.exists() else "does not exist"
            yield Problem(
                code="DAT001",
                key=f"data.datasets[{index}].path",
                message=f"dataset {dataset.id}: {path} {what}",
                fix="check the path; it is relative to the job file",
            )


def prompts_given(config: JobConfig, facts: FamilyFacts) -> Iterator[Problem]:
    for key, caption in _captions(config):
        if caption.source == "instanceprompt" and not caption.prompt:
            yield Problem(
                code="CFG082",
                key=f"{key}.prompt",
                message="instanceprompt without a prompt",
                fix='add prompt = "a photo of …"',
            )
        if caption.prepend and not caption.prompt:
            yield Problem(
                code="CFG083",
                key=f"{key}.prepend",
                message="nothing to put in front of captions",
                fix="add prompt, or remove prepend",
            )
        if caption.prompt and caption.source != "instanceprompt" and not caption.prepend:
            yield Problem(
                code="CFG084",
                key=f"{key}.prompt",
                message=f"the prompt has no effect with source {caption.source}",
                fix="set prepend = true, or remove prompt",
            )
        if caption.dropout > 0.5:
            yield Problem(
                code="CFG085",
                key=f"{key}.dropout",
                level="warn",
                message=f"{caption.dropout:.0%} of the draws train without a caption",
                why="the model forgets to listen to the text",
                fix="0.05 to 0.15 is usual",
            )


def _captions(config: JobConfig):
    yield "data.defaults.caption", config.data.defaults.caption
    for index, dataset in enumerate(config.data.datasets):
        if dataset.caption is not None:
            yield f"data.datasets[{index}].caption", dataset.caption


def resolution_big_enough(config: JobConfig, facts: FamilyFacts) -> Iterator[Problem]:
    smallest = 4 * facts.spatial_factor
    for key, text in _resolutions(config):
        if parse_resolution(text).square < smallest:
            yield Problem(
                code="CFG086",
                key=key,
                message=f"{text} is smaller than {smallest} pixels",
                why="too few latent pixels remain to learn from",
                fix=f'use at least "{smallest}px2"',
            )


def resolution_aligned(config: JobConfig, facts: FamilyFacts) -> Iterator[Problem]:
    multiple = 2 * facts.spatial_factor
    for key, text in _resolutions(config):
        edge = parse_resolution(text).square
        if edge % multiple:
            near = max(multiple, round(edge / multiple) * multiple)
            yield Problem(
                code="CFG087",
                key=key,
                level="info",
                message=f"{text} is rounded to multiples of {multiple} pixels",
                fix=f'"{near}px2" needs no rounding',
            )


def _resolutions(config: JobConfig) -> Iterator[tuple[str, str]]:
    if config.data.defaults.resolution:
        yield "data.defaults.resolution", config.data.defaults.resolution
    for index, dataset in enumerate(config.data.datasets):
        if dataset.resolution:
            yield f"data.datasets[{index}].resolution", dataset.resolution


RULES = (
    some_data,
    ids_unique,
    folders_exist,
    prompts_given,
    resolution_big_enough,
    resolution_aligned,
)
