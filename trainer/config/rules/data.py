"""Rules on datasets; missing folders are data errors, the rest configuration errors."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from math import ceil

from trainer.catalog.facts import FamilyFacts
from trainer.config.rules.problem import Problem, resolutions
from trainer.config.rules.sources import missing_place, place_of
from trainer.config.schema.root import JobConfig
from trainer.config.units import parse_resolution


def some_data(config: JobConfig, facts: FamilyFacts) -> Iterator[Problem]:
    if not any(d.role == "train" and d.enabled for d in config.data.datasets):
        yield Problem(
            code="CFG080",
            key="data.datasets",
            message="there is no dataset to train on",
            fix='add [[data.datasets]] with id = "mine" and path = "FOLDER", or give '
            "--set data.datasets[0].id=mine --set data.datasets[0].path=FOLDER",
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
        if (missing := missing_place(dataset)) is not None:
            code, key, what = missing
            yield Problem(
                code=code,
                key=f"data.datasets[{index}].{key}",
                message=f"dataset {dataset.id}: {what}",
                fix="check the path; in a file it is relative to that file's folder",
            )


def resolution_big_enough(config: JobConfig, facts: FamilyFacts) -> Iterator[Problem]:
    step = facts.size_multiple
    smallest = ceil(4 * facts.spatial_factor / step) * step
    for key, text in resolutions(config):
        if parse_resolution(text).square < smallest:
            yield Problem(
                code="CFG086",
                key=key,
                message=f"{text} is smaller than {smallest} pixels",
                why="too few latent pixels remain to learn from",
                fix=f'use at least "{smallest}px2"',
            )


def resolution_aligned(config: JobConfig, facts: FamilyFacts) -> Iterator[Problem]:
    multiple = config.data.align or facts.pixel_multiple
    for key, text in resolutions(config):
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


def enough_for_a_batch(config: JobConfig, facts: FamilyFacts) -> Iterator[Problem]:
    for index, dataset in enumerate(config.data.datasets):
        few = dataset.max_samples is not None and dataset.max_samples < config.train.batch_size
        if few and dataset.role == "train" and dataset.leftover == "drop":
            yield Problem(
                code="CFG088",
                key=f"data.datasets[{index}].max_samples",
                message=f"{dataset.max_samples} samples never fill a batch of "
                f"{config.train.batch_size}, and leftovers are dropped",
                why="the dataset would not be trained on at all",
                fix='set leftover = "carry", or lower train.batch_size',
            )


def measured_once(config: JobConfig, facts: FamilyFacts) -> Iterator[Problem]:
    for index, dataset in enumerate(config.data.datasets):
        for key in sorted(dataset.model_fields_set & {"repeats", "leftover"}):
            if dataset.role == "eval":
                yield Problem(
                    code="CFG089",
                    key=f"data.datasets[{index}].{key}",
                    idle=True,
                    message=f"dataset {dataset.id} is only measured, so {key} has no effect",
                    fix=f"remove {key}",
                    patch={f"data.datasets[{index}].{key}": None},
                )


def same_pictures_once(config: JobConfig, facts: FamilyFacts) -> Iterator[Problem]:
    seen: dict[tuple[str, str | None], str] = {}
    for index, dataset in enumerate(config.data.datasets):
        if dataset.role != "train":
            continue
        first = seen.setdefault((place_of(dataset), dataset.resolution), dataset.id)
        if first != dataset.id:
            yield Problem(
                code="CFG097",
                key=f"data.datasets[{index}].{'path' if dataset.source is None else 'source'}",
                level="warn",
                message=f"datasets {first} and {dataset.id} read the same place at one size",
                why="its pictures would count twice",
                fix="use repeats for more weight, or give the second another resolution",
            )


RULES = (
    some_data,
    ids_unique,
    folders_exist,
    resolution_big_enough,
    resolution_aligned,
    enough_for_a_batch,
    measured_once,
    same_pictures_once,
)
