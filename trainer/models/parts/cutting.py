"""Schedulers of diffusers that take only the steps of one stretch.

Pipelines ask their scheduler for its steps and then take them all, so leaving out those of other
models is enough. Which steps those are is decided at the boundaries of the trained interval, where
diffusers' own `denoising_end` and `denoising_start` cut too.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from trainer.models.stretch import Stretch
from trainer.objective.interval import Interval


def cut(scheduler: Any, stretch: Stretch) -> Any:
    """The scheduler, which must work by sigmas, with the steps of the stretch alone."""
    set_all = scheduler.set_timesteps
    total = scheduler.config.num_train_timesteps

    def set_timesteps(*args: Any, **kwargs: Any) -> None:
        set_all(*args, **kwargs)
        first, after = Interval(stretch.low, stretch.high).times(total)
        times = scheduler.timesteps.tolist()
        kept = [place for place, time in enumerate(times) if first <= time < after]
        if not kept:
            raise ValueError(f"none of {len(times)} steps lies in the trained noise levels")
        start, end = kept[0], kept[-1] + 1
        sigmas = scheduler.sigmas[start : end + 1].clone()
        if stretch.ends:
            sigmas[-1] = 0.0
        scheduler.timesteps, scheduler.sigmas = scheduler.timesteps[start:end], sigmas

    scheduler.set_timesteps = set_timesteps
    return scheduler


def beginning(
    scheduler: Any,
    steps: int,
    like: Tensor,
    generator: torch.Generator,
    *,
    picture: Tensor | None = None,
) -> Tensor:
    """What the first of `steps` steps starts from, of the shape of `like`: noise, or a picture
    that is noised so far. In the scheduler's own scale."""
    from diffusers.utils.torch_utils import randn_tensor

    scheduler.set_timesteps(steps)
    noise = randn_tensor(like.shape, generator=generator, device=like.device, dtype=like.dtype)
    if picture is None:
        return noise * scheduler.init_noise_sigma
    return scheduler.add_noise(picture.to(noise), noise, scheduler.timesteps[:1])
