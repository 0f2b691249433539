"""Rules on the length of the run, the schedule and the average."""

from __future__ import annotations

from collections.abc import Iterator

from trainer.catalog import OPTIMIZERS
from trainer.catalog.facts import FamilyFacts
from trainer.config.rules.problem import Problem
from trainer.config.schema.root import JobConfig


def steps_or_epochs(config: JobConfig, facts: FamilyFacts) -> Iterator[Problem]:
    train = config.train
    if train.steps is None and train.epochs is None:
        yield Problem(
            code="CFG040",
            key="train.steps",
            message="neither train.steps nor train.epochs is set",
            why="the run would have no end",
            fix="add for example train.steps = 2000",
        )
    elif train.steps is not None and train.epochs is not None:
        yield Problem(
            code="CFG041",
            key="train.epochs",
            message="both train.steps and train.epochs are set",
            why="they may contradict each other",
            fix="keep one of them",
        )


def warmup_within_run(config: JobConfig, facts: FamilyFacts) -> Iterator[Problem]:
    warmup, steps = config.schedule.warmup, config.train.steps
    if isinstance(warmup, int) and steps is not None and warmup >= steps > 0 and warmup > 0:
        yield Problem(
            code="CFG042",
            key="schedule.warmup",
            message=f"a warm-up of {warmup} steps does not end within {steps} steps",
            why="the learning rate would never be reached",
            fix='use a share such as "5%"',
            patch={"schedule.warmup": 0.05},
        )


def end_below_start(config: JobConfig, facts: FamilyFacts) -> Iterator[Problem]:
    lr = config.optimizer.lr
    if lr is not None and config.schedule.end_lr > lr:
        yield Problem(
            code="CFG043",
            key="schedule.end_lr",
            message=f"end_lr {config.schedule.end_lr:g} is above lr {lr:g}",
            why="a falling schedule would rise",
            fix="lower schedule.end_lr",
        )


def shape_parameters_used(config: JobConfig, facts: FamilyFacts) -> Iterator[Problem]:
    name, given = config.schedule.name, config.schedule.model_fields_set
    users = {
        "power": {"polynomial"},
        "cycles": {"cosine_with_restarts", "sine"},
        "end_lr": {"linear", "cosine", "cosine_with_restarts", "polynomial", "sine"},
    }
    for key, names in users.items():
        if key in given and name not in names:
            yield Problem(
                code="CFG044",
                key=f"schedule.{key}",
                idle=True,
                message=f"schedule.{key} has no effect on {name}",
                fix=f"remove it, or use {' or '.join(sorted(names))}",
                patch={f"schedule.{key}": None},
            )


def ema_not_twice(config: JobConfig, facts: FamilyFacts) -> Iterator[Problem]:
    entry = OPTIMIZERS.get(config.optimizer.name)
    if config.ema.enabled and entry and entry.self_averaging:
        yield Problem(
            code="CFG045",
            key="ema.enabled",
            message=f"{config.optimizer.name} averages its weights itself",
            why="an average of an average lags far behind",
            fix="set ema.enabled = false",
            patch={"ema.enabled": False},
        )


def ema_keys_used(config: JobConfig, facts: FamilyFacts) -> Iterator[Problem]:
    unused = config.ema.model_fields_set - {"enabled"}
    if unused and not config.ema.enabled:
        yield Problem(
            code="CFG046",
            key="ema.enabled",
            idle=True,
            level="warn",
            message=f"[ema] sets {', '.join(sorted(unused))} but is not enabled",
            fix="set ema.enabled = true, or remove the section",
        )


def ema_outlives_run(config: JobConfig, facts: FamilyFacts) -> Iterator[Problem]:
    steps = config.train.steps
    if config.ema.enabled and steps is not None and 1 / (1 - config.ema.decay) > steps:
        yield Problem(
            code="CFG047",
            key="ema.decay",
            level="warn",
            message=f"an average over {1 / (1 - config.ema.decay):.0f} steps in a run of {steps}",
            why="it would still be near the start at the end",
            fix=f"use at most {1 - 5 / max(steps, 6):.4f}",
        )


def checkpoint_within_run(config: JobConfig, facts: FamilyFacts) -> Iterator[Problem]:
    steps = config.train.steps
    interval = config.checkpoint.every_steps
    asked = "every_steps" in config.checkpoint.model_fields_set
    if asked and steps is not None and interval > steps:
        yield Problem(
            code="CFG048",
            key="checkpoint.every_steps",
            level="warn",
            idle=True,
            message=f"no checkpoint before the end: every {interval} of {steps} steps",
            why="an interruption would cost the whole run",
            fix="use a smaller interval",
        )


def log_within_run(config: JobConfig, facts: FamilyFacts) -> Iterator[Problem]:
    steps = config.train.steps
    asked = "log_every" in config.debug.model_fields_set
    if asked and steps is not None and config.debug.log_every > steps:
        yield Problem(
            code="CFG049",
            key="debug.log_every",
            level="warn",
            message=f"nothing is logged before the end of {steps} steps",
            fix=f"use debug.log_every = {max(1, steps // 10)}",
        )


def warmup_leaves_run(config: JobConfig, facts: FamilyFacts) -> Iterator[Problem]:
    warmup, steps = config.schedule.warmup, config.train.steps
    share = warmup if isinstance(warmup, float) else warmup / steps if steps else 0.0
    if 0.5 < share < 1:
        yield Problem(
            code="CFG050",
            key="schedule.warmup",
            level="warn",
            message=f"{share:.0%} of the run is warm-up",
            why="little of it is left at the full rate",
            fix="5 % is usual",
        )


def cycles_within_run(config: JobConfig, facts: FamilyFacts) -> Iterator[Problem]:
    steps = config.train.steps
    if steps is not None and config.schedule.cycles > steps:
        yield Problem(
            code="CFG051",
            key="schedule.cycles",
            message=f"{config.schedule.cycles} cycles in {steps} steps",
            why="a cycle needs at least one step",
            fix="use fewer cycles",
        )


def ema_updates(config: JobConfig, facts: FamilyFacts) -> Iterator[Problem]:
    steps = config.train.steps
    if config.ema.enabled and steps is not None and config.ema.every > steps:
        yield Problem(
            code="CFG052",
            key="ema.every",
            message=f"the average is updated every {config.ema.every} steps of {steps}: never",
            fix="use a smaller interval",
        )


def measured_within_run(config: JobConfig, facts: FamilyFacts) -> Iterator[Problem]:
    steps = config.train.steps
    intervals = {
        "validation.every_steps": config.validation.every_steps,
        "eval.every_steps": config.eval.every_steps,
    }
    for key, interval in intervals.items():
        if steps is not None and interval is not None and interval > steps:
            yield Problem(
                code="CFG053",
                key=key,
                level="warn",
                idle=True,
                message=f"an interval of {interval} steps does not fit in a run of {steps}",
                fix=f"use for example {max(1, steps // 5)}",
            )


RULES = (
    steps_or_epochs,
    warmup_within_run,
    end_below_start,
    shape_parameters_used,
    ema_not_twice,
    ema_keys_used,
    ema_outlives_run,
    checkpoint_within_run,
    log_within_run,
    warmup_leaves_run,
    cycles_within_run,
    ema_updates,
    measured_within_run,
)
