"""Optimiser and schedule from the configuration."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch.nn import Parameter
from torch.optim import Optimizer

from trainer import catalog
from trainer.config.schema.optimizer import OptimizerConfig
from trainer.config.schema.schedule import ScheduleConfig
from trainer.errors import ConfigError
from trainer.findings import finding
from trainer.optim.fused_backward import FusedBackward
from trainer.optim.schedules import Schedule


def build_optimizer(
    config: OptimizerConfig, mode: str, groups: Sequence[dict[str, Any]]
) -> Optimizer | FusedBackward:
    """Over groups of trainable parameters, each with its `params` and maybe an `lr_factor`; or one
    optimiser for each parameter."""
    if not config.fused_backward:
        return _build(config, mode, groups)
    group_of = {parameter: group for group in groups for parameter in group["params"]}

    def make(some: Sequence[Parameter]) -> Optimizer:
        return _build(config, mode, [{**group_of[p], "params": [p]} for p in some])

    return FusedBackward(list(group_of), make)


def _build(config: OptimizerConfig, mode: str, groups: Sequence[dict[str, Any]]) -> Optimizer:
    entry = catalog.OPTIMIZERS[config.name]
    args: dict[str, Any] = entry.args | config.args.model_dump(exclude_none=True)
    try:
        return catalog.load(entry.path)(
            [dict(group) for group in groups], learning_rate(config, mode), args
        )
    except ImportError as missing:
        raise ConfigError(
            finding(
                "RUN013",
                f"optimizer {config.name} needs the package {', '.join(entry.packages)}",
                where="optimizer.name",
                fix=f"pip install 'simpletuner-terminal[{entry.extra}]'",
            )
        ) from missing


def learning_rate(config: OptimizerConfig, mode: str) -> float:
    if config.lr is not None:
        return config.lr
    return catalog.OPTIMIZERS[config.name].default_lr[mode]


def build_schedule(config: ScheduleConfig, lr: float, total: int) -> Schedule:
    return Schedule(
        name=config.name,
        lr=lr,
        end_lr=config.end_lr,
        warmup=config.warmup_steps(total),
        total=total,
        cycles=config.cycles,
        power=config.power,
    )


def averaging(optimizer: Optimizer | FusedBackward) -> bool:
    """Whether the optimiser keeps separate weights for training and for use."""
    return callable(getattr(optimizer, "eval", None))
