"""Noise prediction in continuous time, on the cosine schedule of the Würstchen models (2306.00637).

The time is a share of the way to noise, drawn from all of (0, 1], and it is what the denoiser is
told. The schedule is that of Nichol & Dhariwal 2021 (2102.09672), clamped at both ends. The loss
is weighed by P2 (Choi et al. 2022, 2204.00227), as these models were trained; min-SNR weighting
takes its place where it is asked for.
"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from trainer.config.schema.loss import LossConfig
from trainer.objective import ddpm
from trainer.objective.base import Corrupted, Draw, Weighted, streams
from trainer.objective.interval import WHOLE, Interval
from trainer.rng import normal

EARLIEST = 1e-3  # least time that these models are trained at
SIGNAL = (1e-4, 1 - 1e-4)  # bounds of alpha-bar


@dataclass(frozen=True, slots=True)
class CosineSchedule:
    """alpha-bar at a time in 0..1: `offset` holds it back at the clean end, `scaler` bends time."""

    offset: float = 0.008
    scaler: float = 1.0

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> CosineSchedule:
        """As a DDPMWuerstchenScheduler is configured."""
        return cls(float(config.get("s", cls().offset)), float(config.get("scaler", cls().scaler)))

    def alpha_bar(self, time: Tensor) -> Tensor:
        if self.scaler > 1:
            time = 1 - (1 - time) ** self.scaler
        elif self.scaler < 1:
            time = time**self.scaler
        quarter = math.pi / 2 / (1 + self.offset)
        start = math.cos(self.offset * quarter) ** 2
        return (((time + self.offset) * quarter).cos().square() / start).clamp(*SIGNAL)


def p2_weight(ratio: Tensor, gamma: float) -> Tensor:
    """`(1 + SNR)^-gamma` per sample: little for the nearly clean, which teach least."""
    return (1.0 + ratio) ** -gamma


class CosineObjective(Weighted):
    """Epsilon prediction; `p2_gamma` 0 weighs all times alike."""

    def __init__(
        self,
        loss: LossConfig,
        *,
        schedule: CosineSchedule,
        p2_gamma: float,
        interval: Interval = WHOLE,
    ) -> None:
        super().__init__(loss)
        self.interval = interval
        self.schedule = schedule
        self.p2_gamma = p2_gamma

    def draw(
        self,
        latents: Tensor,
        seed: int,
        sample_ids: Sequence[int],
        visits: Sequence[int],
        *,
        offset: float = 0.0,
    ) -> Draw:
        """Times are uniform, so `offset` has nothing to act on; lint refuses it."""
        seeds = streams(seed, sample_ids, visits, "time")
        drawn = (self.interval.sigma(lambda s=random.Random(s): 1.0 - s.random()) for s in seeds)
        times = [max(EARLIEST, time) for time in drawn]
        noise = normal(streams(seed, sample_ids, visits, "noise"), latents.shape[1:])
        return Draw(noise, torch.tensor(times, dtype=torch.float32))

    def corrupt(self, latents: Tensor, noise: Tensor, time: Tensor) -> Corrupted:
        abar = self.schedule.alpha_bar(time)
        shape = (-1, *(1,) * (latents.ndim - 1))
        signal, sigma = abar.sqrt().view(shape), (1.0 - abar).sqrt().view(shape)
        return Corrupted(
            noisy=ddpm.add_noise(latents, noise, signal, sigma),
            time=time,
            target=noise,
            weight=self._weight(abar / (1.0 - abar)),
            width=self.width(time, lambda: ((1.0 - abar) / abar).sqrt()),
        )

    def _weight(self, ratio: Tensor) -> Tensor | None:
        if self.config.snr.gamma is not None:
            return ddpm.min_snr_weight(ratio, self.config.snr.gamma, v_prediction=False)
        return p2_weight(ratio, self.p2_gamma) if self.p2_gamma else None
