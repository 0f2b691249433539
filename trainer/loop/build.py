"""From a configuration to the parts of a training: the only place where they are put together."""

from __future__ import annotations

import torch

from trainer.adapters.base import Trainable
from trainer.adapters.build import build_trainable
from trainer.catalog import OPTIMIZERS
from trainer.config.schema.root import JobConfig
from trainer.data.prepare import Prepared, prepare, steps_in_epochs
from trainer.loop.device import configure
from trainer.loop.logs import set_log_level
from trainer.loop.parts import Parts
from trainer.loop.session import Session
from trainer.models.base import Family, build_family
from trainer.objective.compose import build_objective
from trainer.optim.build import build_optimizer, build_schedule, learning_rate
from trainer.optim.ema import EMA

DTYPES = {"bf16": torch.bfloat16, "fp32": torch.float32}


def build_parts(config: JobConfig, session: Session) -> Parts:
    """Scan, cache, load, attach: everything before the first step.

    Encoders are loaded, used and dropped before the denoiser arrives, so they never share memory.
    """
    family = open_family(config)
    prepared = prepare(
        config,
        family,
        on_event=session.events.emit,
        should_stop=session.stop_requested,
        run=session.run.path,
    )
    family.load("denoiser")
    trainable = build_trainable(config, family, weights_dtype(config))
    family.ready_denoiser()
    return assemble(config, family, prepared, trainable)


def open_family(config: JobConfig) -> Family:
    """The family on the device of the job; nothing of it is loaded yet."""
    set_log_level(config.debug.log_level)
    device = configure(config.compute)
    return make_family(config, device, weights_dtype(config))


def assemble(config: JobConfig, family: Family, prepared: Prepared, trainable: Trainable) -> Parts:
    """Objective, optimiser, schedule and average around a prepared model."""
    named = trainable.parameters()
    parameters = list(named.values())
    total = total_steps(config, prepared)
    optimizer = build_optimizer(config.optimizer, config.model.mode, trainable.groups())
    rate = learning_rate(config.optimizer, config.model.mode)
    ema = None
    if config.ema.enabled:
        ema = EMA(named, decay=config.ema.decay, every=config.ema.every)
    return Parts(
        config=config,
        device=family.device,
        family=family,
        prepared=prepared,
        trainable=trainable,
        parameters=parameters,
        objective=build_objective(config.noise, config.loss, family),
        optimizer=optimizer,
        schedule=build_schedule(config.schedule, rate, total),
        ema=ema,
        autocast_dtype=torch.bfloat16 if config.compute.precision.dtype == "bf16" else None,
        total_steps=total,
    )


def weights_dtype(config: JobConfig) -> torch.dtype:
    """Trainable weights are fp32 unless the optimiser keeps bf16 ones exact by itself."""
    return torch.bfloat16 if OPTIMIZERS[config.optimizer.name].bf16_weights else torch.float32


def make_family(config: JobConfig, device: torch.device, trainable: torch.dtype) -> Family:
    """A frozen base is kept in the compute dtype; a base that is trained in the trainable one."""
    dtype = DTYPES[config.compute.precision.dtype]
    return build_family(config, device, trainable if config.model.mode == "full" else dtype)


def total_steps(config: JobConfig, prepared: Prepared) -> int:
    if config.train.steps is not None:
        return config.train.steps
    assert config.train.epochs is not None, "lint demands steps or epochs"
    return steps_in_epochs(prepared, config, config.train.epochs)
