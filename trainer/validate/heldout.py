"""Held-out loss: the same samples, the same noise and the same times at every measurement.

Noise and time are keyed by sample and by the number of the draw, under a seed of their own, so
two measurements differ only by the weights and the curve is smooth from few samples.
"""

from __future__ import annotations

from collections.abc import Callable

import torch

from trainer.data.prepare import eval_batches
from trainer.loop.parts import Parts
from trainer.objective.compose import streams

EVAL_SEED = 20_001  # never the run's own seed: held-out draws must not follow training draws


def held_out_loss(parts: Parts, *, should_stop: Callable[[], bool]) -> float | None:
    """Mean loss over the evaluation datasets, or None when asked to stop meanwhile."""
    config = parts.config.eval
    denoiser = parts.family.modules["denoiser"]
    total, count = torch.zeros((), device=parts.device), 0
    denoiser.eval()
    try:
        with torch.no_grad(), parts.weights_for_use():
            for batch in eval_batches(parts.prepared, parts.family, parts.config):
                for index in range(config.timesteps):
                    if should_stop():
                        return None
                    loss = _loss_at(parts, batch.to(parts.device), index)
                    total += loss * len(batch.sample_ids)
                    count += len(batch.sample_ids)
    finally:
        denoiser.train()
    return (total / count).item() if count else None


def _loss_at(parts: Parts, batch, index: int) -> torch.Tensor:
    """Loss of the batch under its draw number `index`."""
    objective = parts.objective
    visits = [index] * len(batch.sample_ids)
    draw = objective.draw(batch.latents, EVAL_SEED, batch.sample_ids, visits)
    corrupted = objective.corrupt(
        batch.latents, draw.noise.to(parts.device), draw.time.to(parts.device)
    )
    seeds = streams(EVAL_SEED, batch.sample_ids, visits, "condition")
    condition = parts.family.drawn_condition(batch.condition, seeds)
    with parts.autocast():
        prediction = parts.family.forward(corrupted.noisy, corrupted.time, condition)
    return objective.loss(prediction, corrupted)
