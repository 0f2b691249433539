"""One optimiser step, on one page.

A step is `accumulate` micro-batches of forward and backward, then clip, update, average. Nothing
here waits for the device: scalars stay there until the log interval reads them all at once.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from trainer.data.batch import Batch
from trainer.faults import point
from trainer.loop.parts import Parts
from trainer.optim.clip import clip_by_norm
from trainer.rng import stream_seed


@dataclass(frozen=True, slots=True)
class StepScalars:
    """Results of a step; `loss` and `grad_norm` are device scalars."""

    loss: Tensor
    grad_norm: Tensor
    lr: float
    samples: int


def optimiser_step(parts: Parts, batches: Iterator[Batch], step: int) -> StepScalars:
    """Take optimiser step `step` (counted from 0) on the next micro-batches."""
    config = parts.config
    if config.adapter.dropout:  # the only draw inside a module: pin it to the step
        torch.manual_seed(stream_seed(config.job.seed, step, 0, "dropout"))
    lr = parts.schedule.apply(parts.optimizer, step)
    losses: list[Tensor] = []
    samples = 0

    for _ in range(config.train.accumulate):
        batch = next(batches).to(parts.device)
        loss = micro_batch_loss(parts, batch)
        point("step.after_forward")
        (loss / config.train.accumulate).backward()
        point("step.after_backward")
        losses.append(loss.detach())
        samples += len(batch.sample_ids)

    grad_norm = clip_by_norm(parts.parameters, config.optimizer.clip)
    parts.optimizer.step()
    parts.optimizer.zero_grad(set_to_none=True)
    point("step.after_optimizer")
    if parts.ema is not None:
        parts.ema.update(step + 1)
    mean = losses[0] if len(losses) == 1 else torch.stack(losses).mean()
    return StepScalars(mean, grad_norm, lr, samples)


def micro_batch_loss(parts: Parts, batch: Batch) -> Tensor:
    """Draw noise and times for the batch, noise it, predict, compare."""
    objective = parts.objective
    draw = objective.draw(batch.latents, parts.config.job.seed, batch.sample_ids, batch.visits)
    noise = draw.noise.to(parts.device, non_blocking=True)
    time = draw.time.to(parts.device, non_blocking=True)
    corrupted = objective.corrupt(batch.latents, noise, time)
    with parts.autocast():
        prediction = parts.family.forward(corrupted.noisy, corrupted.time, batch.text, batch.sizes)
    return objective.loss(prediction, corrupted)
