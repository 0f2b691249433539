"""One optimiser step, on one page.

A step is `accumulate` micro-batches of forward and backward, then clip, update, average. Nothing
here waits for the device: scalars stay there until the log interval reads them all at once.

A batch may say how it is trained on: with a mask over its loss, towards the base model's own
prediction (prior), or with the adapter at another strength (slider).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor

from trainer.data.batch import Batch
from trainer.faults import point
from trainer.loop.parts import Parts
from trainer.models.condition import Condition
from trainer.objective.compose import Corrupted, streams
from trainer.objective.masks import drawn_weights
from trainer.optim.clip import clip_by_norm
from trainer.optim.fused_backward import FusedBackward
from trainer.rng import stream_seed


@dataclass(frozen=True, slots=True)
class StepScalars:
    """Results of a step; tensors are device scalars.

    `prior_loss` is that of its prior batches, `loss` that of all others; None where none were.
    """

    loss: Tensor | None
    grad_norm: Tensor
    lr: float
    samples: int
    prior_loss: Tensor | None = None


def optimiser_step(parts: Parts, batches: Iterator[Batch], step: int) -> StepScalars:
    """Take optimiser step `step` (counted from 0) on the next micro-batches."""
    config = parts.config
    if config.adapter.dropout:  # the only draw inside a module: pin it to the step
        torch.manual_seed(stream_seed(config.job.seed, step, 0, "dropout"))
    parts.trainable.prepare(step)
    lr = parts.schedule.apply(parts.optimizer, step)
    losses: list[Tensor] = []
    prior_losses: list[Tensor] = []
    samples = 0

    for _ in range(config.train.accumulate):
        batch = next(batches).to(parts.device)
        with adapter_strength(parts, batch):  # checkpointing computes forward again in backward
            loss = micro_batch_loss(parts, batch)
            point("step.after_forward")
            (loss / config.train.accumulate).backward()
        point("step.after_backward")
        (prior_losses if batch.prior else losses).append(loss.detach())
        samples += len(batch.sample_ids)

    if isinstance(parts.optimizer, FusedBackward):  # the weights are updated already
        grad_norm = parts.optimizer.take_norm()
    else:
        grad_norm = clip_by_norm(parts.parameters, config.optimizer.clip)
    parts.optimizer.step()
    parts.optimizer.zero_grad(set_to_none=True)
    point("step.after_optimizer")
    if parts.ema is not None:
        parts.ema.update(step + 1)
    return StepScalars(mean(losses), grad_norm, lr, samples, mean(prior_losses))


def mean(losses: Sequence[Tensor]) -> Tensor | None:
    """Mean of device scalars; None of none."""
    if len(losses) <= 1:
        return losses[0] if losses else None
    return torch.stack(list(losses)).mean()


def adapter_strength(parts: Parts, batch: Batch) -> AbstractContextManager[None]:
    """Within the block the adapter acts with the strength that the batch asks for."""
    if batch.slider is None:
        return nullcontext()
    return parts.trainable.at_strength(batch.slider)


def micro_batch_loss(parts: Parts, batch: Batch) -> Tensor:
    """Draw noise and times for the batch, noise it, predict, compare."""
    objective, seed = parts.objective, parts.config.job.seed
    ids, visits = batch.sample_ids, batch.visits
    draw = objective.draw(batch.latents, seed, ids, visits, offset=batch.timestep_offset)
    noise = draw.noise.to(parts.device, non_blocking=True)
    time = draw.time.to(parts.device, non_blocking=True)
    corrupted = objective.corrupt(batch.latents, noise, time)
    seeds = streams(seed, ids, visits, "condition")
    condition = parts.family.drawn_condition(batch.condition, seeds)
    if batch.prior:
        with torch.no_grad(), parts.trainable.base_scope():
            corrupted.target = predict(parts, corrupted, condition).float()
    mask = drawn_weights(batch.masks, parts.config.loss.mask, seed, ids, visits)
    loss = objective.loss(predict(parts, corrupted, condition), corrupted, mask)
    extra = None if batch.prior else parts.family.extra_loss()
    return loss if extra is None else loss + extra


def predict(parts: Parts, corrupted: Corrupted, condition: Condition) -> Tensor:
    with parts.autocast():
        return parts.family.forward(corrupted.noisy, corrupted.time, condition)
