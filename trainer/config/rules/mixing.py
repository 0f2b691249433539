"""Rules on how datasets are mixed: weights, schedules, sides of a slider."""

from __future__ import annotations

from collections.abc import Iterator

from trainer.catalog.facts import FamilyFacts
from trainer.config.rules.problem import Problem
from trainer.config.schema.data import DatasetConfig
from trainer.config.schema.root import JobConfig

DRAWN = ("train", "prior")
FINEST = 2.0**-20  # smaller shares are rounded up to it (trainer.data.turns)


def _drawn(config: JobConfig) -> list[tuple[str, DatasetConfig]]:
    """Key and dataset of all that batches are drawn from."""
    return [
        (f"data.datasets[{index}]", dataset)
        for index, dataset in enumerate(config.data.datasets)
        if dataset.enabled and dataset.role in DRAWN
    ]


def weights_and_repeats_used(config: JobConfig, facts: FamilyFacts) -> Iterator[Problem]:
    stream = config.data.mix == "stream"
    idle, used = ("repeats", "weight") if stream else ("weight", "repeats")
    for key, dataset in _drawn(config):
        if idle in dataset.model_fields_set:
            yield Problem(
                code="CFG131" if stream else "CFG130",
                key=f"{key}.{idle}",
                idle=True,
                message=f'{idle} has no effect with mix = "{config.data.mix}"',
                fix=f'use {used}, or set data.mix = "{"epoch" if stream else "stream"}"',
                patch={f"{key}.{idle}": None},
            )


def schedule_not_empty(config: JobConfig, facts: FamilyFacts) -> Iterator[Problem]:
    for key, dataset in _drawn(config):
        active = dataset.active
        if active is None:
            continue
        for unit, start, end in (
            ("step", active.from_step, active.to_step),
            ("epoch", active.from_epoch, active.to_epoch),
        ):
            if end is not None and end <= start:
                yield Problem(
                    code="CFG132",
                    key=f"{key}.active.to_{unit}",
                    message=f"dataset {dataset.id} begins at {unit} {start} and ends at {end}",
                    why="it would never take part",
                    fix=f"to_{unit} is the first {unit} without it; it must be after from_{unit}",
                )


def somebody_always(config: JobConfig, facts: FamilyFacts) -> Iterator[Problem]:
    """Gaps that show without the data; others are found when the run starts."""
    spans = [d.active for _, d in _drawn(config)]
    if not spans or any(span is None for span in spans):
        return
    known = [span for span in spans if span is not None]
    by_step = [(s.from_step, s.to_step) for s in known]
    by_epoch = [(s.from_epoch, s.to_epoch) for s in known]
    for unit, bounds, length in (
        ("step", by_step, config.train.steps),
        ("epoch", by_epoch, config.train.epochs),
    ):
        gap = _gap(bounds, length)
        if gap is not None:
            yield Problem(
                code="CFG133",
                key="data.datasets",
                message=f"no dataset is active from {unit} {gap[0]} {gap[1]}",
                why="there would be nothing to train on",
                fix="let one dataset be active at any time, or shorten the run",
            )


def _gap(bounds: list[tuple[int, int | None]], length: int | None) -> tuple[int, str] | None:
    """Where nobody takes part first, and until when, in words."""
    reached = 0
    for start, end in sorted(bounds, key=lambda bound: bound[0]):
        if start > reached:
            break
        if end is None:
            return None
        reached = max(reached, end)
    if length is not None and reached >= length:
        return None
    following = min((start for start, _ in bounds if start > reached), default=None)
    return reached, "on" if following is None else f"to {following}"


def schedule_within_run(config: JobConfig, facts: FamilyFacts) -> Iterator[Problem]:
    for key, dataset in _drawn(config):
        active = dataset.active
        if active is None:
            continue
        for unit, start, length in (
            ("step", active.from_step, config.train.steps),
            ("epoch", active.from_epoch, config.train.epochs),
        ):
            if length is not None and start >= length:
                yield Problem(
                    code="CFG134",
                    key=f"{key}.active.from_{unit}",
                    level="warn",
                    message=f"dataset {dataset.id} begins at {unit} {start} of a run of {length}",
                    why="it never takes part",
                    fix=f"begin before {unit} {length}, or set enabled = false",
                )


def slider_has_sides(config: JobConfig, facts: FamilyFacts) -> Iterator[Problem]:
    signs = {(d.slider > 0) - (d.slider < 0) for _, d in _drawn(config) if d.slider is not None}
    if len(signs & {1, -1}) == 1:
        there, missing = ("positive", "negative") if 1 in signs else ("negative", "positive")
        yield Problem(
            code="CFG135",
            key="data.datasets",
            level="warn",
            message=f"the slider has a {there} side, but no {missing} one",
            why="an adapter learns a direction from both of its ends",
            fix=f"add a dataset with a {missing} slider",
        )


def drawn_settings_used(config: JobConfig, facts: FamilyFacts) -> Iterator[Problem]:
    settings = {"weight", "batch_size", "active", "slider", "timestep_offset"}
    for index, dataset in enumerate(config.data.datasets):
        if dataset.role in DRAWN:
            continue
        for name in sorted(settings & dataset.model_fields_set):
            key = f"data.datasets[{index}].{name}"
            yield Problem(
                code="CFG136",
                key=key,
                idle=True,
                message=f"no batches are drawn from dataset {dataset.id} (role {dataset.role}), so "
                f"{name} has no effect",
                fix=f"remove {name}",
                patch={key: None},
            )


def epochs_go_on(config: JobConfig, facts: FamilyFacts) -> Iterator[Problem]:
    epochs = config.train.epochs
    if config.data.mix != "stream" or epochs is None:
        return
    key, main = next(((k, d) for k, d in _drawn(config) if d.role == "train"), (None, None))
    if main is None or main.active is None:
        return
    ends = main.active.to_epoch is not None and main.active.to_epoch < epochs
    if ends or main.active.to_step is not None:
        yield Problem(
            code="CFG137",
            key=f"{key}.active",
            message=f"epochs are rounds of the first dataset, {main.id}, and it stops taking part",
            why=f'with mix = "stream" {epochs} epochs might never be reached',
            fix="set train.steps instead of train.epochs, or put a dataset first that stays",
        )


def weights_comparable(config: JobConfig, facts: FamilyFacts) -> Iterator[Problem]:
    if config.data.mix != "stream":
        return
    drawn = _drawn(config)
    total = sum(dataset.weight for _, dataset in drawn)
    for key, dataset in drawn:
        if not dataset.weight / total >= FINEST:
            yield Problem(
                code="CFG138",
                key=f"{key}.weight",
                message=f"weight {dataset.weight:g} beside a sum of {total:g}",
                why="shares below one batch in a million, and infinite ones, cannot be dealt out",
                fix="use weights of a similar size",
            )


RULES = (
    weights_and_repeats_used,
    schedule_not_empty,
    somebody_always,
    schedule_within_run,
    slider_has_sides,
    drawn_settings_used,
    epochs_go_on,
    weights_comparable,
)
