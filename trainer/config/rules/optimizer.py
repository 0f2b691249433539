"""Rules on the optimiser."""

from __future__ import annotations

from collections.abc import Iterator

from trainer.catalog import OPTIMIZERS
from trainer.catalog.facts import FamilyFacts
from trainer.config.rules.problem import Problem
from trainer.config.schema.root import JobConfig
from trainer.config.suggest import nearest


def optimizer_known(config: JobConfig, facts: FamilyFacts) -> Iterator[Problem]:
    name = config.optimizer.name
    if name not in OPTIMIZERS:
        near = nearest(name, OPTIMIZERS)
        yield Problem(
            code="CFG060",
            key="optimizer.name",
            message=f"unknown optimizer {name!r}",
            fix=(f"did you mean {near[0]!r}? " if near else "") + f"known: {', '.join(OPTIMIZERS)}",
            patch={"optimizer.name": near[0]} if near else None,
        )


def args_known(config: JobConfig, facts: FamilyFacts) -> Iterator[Problem]:
    entry = OPTIMIZERS.get(config.optimizer.name)
    if entry is None:
        return
    for arg in sorted(
        config.optimizer.args.model_dump(exclude_none=True).keys() - entry.args.keys()
    ):
        yield Problem(
            code="CFG061",
            key=f"optimizer.args.{arg}",
            idle=True,
            message=f"{config.optimizer.name} has no argument {arg}",
            why="it would have no effect",
            fix=f"known: {', '.join(entry.args)}",
            patch={f"optimizer.args.{arg}": None},
        )


def self_tuning_rate(config: JobConfig, facts: FamilyFacts) -> Iterator[Problem]:
    lr = config.optimizer.lr
    if config.optimizer.name == "prodigy" and lr is not None and not 0.1 <= lr <= 2:
        yield Problem(
            code="CFG062",
            key="optimizer.lr",
            level="warn",
            message=f"prodigy estimates its step size; lr {lr:g} multiplies the estimate",
            fix="use lr = 1, or leave it out",
            patch={"optimizer.lr": 1.0},
        )


def ordinary_rate(config: JobConfig, facts: FamilyFacts) -> Iterator[Problem]:
    lr = config.optimizer.lr
    if lr is not None and config.optimizer.name != "prodigy" and lr > 0.02:
        yield Problem(
            code="CFG063",
            key="optimizer.lr",
            level="warn",
            message=f"lr {lr:g} is far above what diffusion models bear",
            why="the loss usually becomes NaN",
            fix="1e-4 is usual for adapters, 1e-5 for full",
        )


def schedule_free_needs_no_schedule(config: JobConfig, facts: FamilyFacts) -> Iterator[Problem]:
    entry = OPTIMIZERS.get(config.optimizer.name)
    if entry and entry.self_averaging and config.schedule.name != "constant":
        yield Problem(
            code="CFG064",
            key="schedule.name",
            message=f"{config.optimizer.name} wants a constant rate, not {config.schedule.name}",
            why="averaging takes the place of decay",
            fix='set schedule.name = "constant"',
            patch={"schedule.name": "constant"},
        )


def betas_in_range(config: JobConfig, facts: FamilyFacts) -> Iterator[Problem]:
    betas = config.optimizer.args.betas
    if betas is not None and not all(0 <= b < 1 for b in betas):
        yield Problem(
            code="CFG065",
            key="optimizer.args.betas",
            message=f"betas {list(betas)} must be in [0, 1)",
            fix="[0.9, 0.999] is usual",
            patch={"optimizer.args.betas": [0.9, 0.999]},
        )


def clip_leaves_gradient(config: JobConfig, facts: FamilyFacts) -> Iterator[Problem]:
    clip = config.optimizer.clip
    if clip is not None and clip < 0.01:
        yield Problem(
            code="CFG066",
            key="optimizer.clip",
            level="warn",
            message=f"gradients are cut to a norm of {clip:g}",
            why="nearly every step is cut, so all have the same length",
            fix="1.0 is usual; false turns clipping off",
        )


def prodigy_knows_warmup(config: JobConfig, facts: FamilyFacts) -> Iterator[Problem]:
    if config.optimizer.name != "prodigy" or not config.schedule.warmup:
        return
    if config.optimizer.args.safeguard_warmup is False:
        yield Problem(
            code="CFG067",
            key="optimizer.args.safeguard_warmup",
            level="warn",
            message="prodigy takes the small steps of the warm-up for a small distance",
            why="its estimate then stays too low for the rest of the run",
            fix="set safeguard_warmup = true, or schedule.warmup = 0",
            patch={"optimizer.args.safeguard_warmup": True},
        )


def one_warmup(config: JobConfig, facts: FamilyFacts) -> Iterator[Problem]:
    if config.schedule.warmup and config.optimizer.args.warmup_steps:
        yield Problem(
            code="CFG068",
            key="schedule.warmup",
            message="both the schedule and the optimiser warm up",
            why="the two ramps multiply",
            fix="keep optimizer.args.warmup_steps, which the average takes into account",
            patch={"schedule.warmup": None},
        )


def backward_has_all_it_needs(config: JobConfig, facts: FamilyFacts) -> Iterator[Problem]:
    if not config.optimizer.fused_backward:
        return
    entry, key = OPTIMIZERS.get(config.optimizer.name), "optimizer.fused_backward"
    if entry is not None and not entry.one_by_one:
        able = ", ".join(name for name, other in OPTIMIZERS.items() if other.one_by_one)
        yield Problem(
            code="CFG299",
            key=key,
            message=f"{config.optimizer.name} looks at all gradients together",
            fix=f"remove {key}, or use one of {able}",
            patch={key: None},
        )
    elif config.train.accumulate > 1:
        yield Problem(
            code="CFG299",
            key=key,
            message="weights are updated in every backward pass, so none can be accumulated",
            fix="set train.accumulate = 1",
            patch={"train.accumulate": 1},
        )
    elif config.optimizer.clip is not None:
        yield Problem(
            code="CFG299",
            key=key,
            message="gradients cannot be clipped by their norm",
            why="it is known only when all of them are there, and by then they are gone",
            fix="set optimizer.clip = false",
            patch={"optimizer.clip": False},
        )


RULES = (
    optimizer_known,
    args_known,
    self_tuning_rate,
    ordinary_rate,
    schedule_free_needs_no_schedule,
    betas_in_range,
    clip_leaves_gradient,
    prodigy_knows_warmup,
    one_warmup,
    backward_has_all_it_needs,
)
