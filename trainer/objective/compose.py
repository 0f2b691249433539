"""From a batch to a scalar: draw noise and times, noise the latents, weigh the error.

The objectives of flow models and of discrete schedules, and the choice of the one that fits.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from trainer.catalog.facts import Packing, Prediction
from trainer.config.schema.loss import LossConfig
from trainer.config.schema.noise import NoiseConfig
from trainer.objective import ddpm, flow
from trainer.objective.base import Corrupted, Draw, Objective, Weighted, streams
from trainer.objective.cosine import CosineObjective, CosineSchedule
from trainer.objective.interval import WHOLE, Interval
from trainer.rng import normal


class FlowObjective(Weighted):
    """Rectified flow; `shift` is a factor, "auto" or None. `rule` is the automatic factor by number
    of tokens, where it is not the usual one; `warp` names what follows the sigmoid density."""

    def __init__(
        self,
        noise: NoiseConfig,
        loss: LossConfig,
        *,
        sampling: str,
        shift: float | str | None,
        patch: int,
        scheduler: dict[str, float],
        rule: Callable[[int], float] | None = None,
        warp: str | None = None,
    ) -> None:
        super().__init__(loss)
        self.density = flow.density(
            sampling,
            sigmoid_scale=noise.sigmoid_scale,
            alpha=noise.beta.alpha,
            beta_=noise.beta.beta,
        )
        self.interval = Interval.of(noise.interval)
        self.shift = shift
        self.patch = patch
        self.scheduler = scheduler
        self.rule = rule
        self.warp = flow.WARPS[warp] if warp and sampling == "sigmoid" else None

    def factor(self, height: int, width: int) -> float:
        """Shift factor for latents of this size."""
        if self.shift is None:
            return 1.0
        if self.shift != "auto":
            return float(self.shift)
        tokens = (height // self.patch) * (width // self.patch)
        if self.rule is not None:
            return self.rule(tokens)
        names = {
            "base_tokens": "base_image_seq_len",
            "max_tokens": "max_image_seq_len",
            "base_shift": "base_shift",
            "max_shift": "max_shift",
        }
        known = {k: self.scheduler[v] for k, v in names.items() if self.scheduler.get(v)}
        return flow.auto_shift(tokens, **known)  # type: ignore[arg-type]

    def draw(
        self,
        latents: Tensor,
        seed: int,
        sample_ids: Sequence[int],
        visits: Sequence[int],
        *,
        offset: float = 0.0,
    ) -> Draw:
        factor = self.factor(*latents.shape[-2:])
        seeds = streams(seed, sample_ids, visits, "time")
        times = flow.draw_sigmas(
            seeds, self.density, factor, offset, warp=self.warp, interval=self.interval
        )
        noise = normal(streams(seed, sample_ids, visits, "noise"), latents.shape[1:])
        return Draw(noise, torch.tensor(times, dtype=torch.float32))

    def corrupt(self, latents: Tensor, noise: Tensor, time: Tensor) -> Corrupted:
        return Corrupted(
            noisy=flow.interpolate(latents, noise, time),
            time=time,
            target=flow.velocity(latents, noise),
            weight=None,
            width=self.width(time, lambda: time / (1.0 - time).clamp_min(1e-6)),
        )


class DiscreteObjective(Weighted):
    """Epsilon or v prediction on the family's own schedule `abar` [T]."""

    def __init__(
        self,
        loss: LossConfig,
        *,
        prediction: Prediction,
        abar: Tensor,
        interval: Interval = WHOLE,
    ) -> None:
        super().__init__(loss)
        self.interval = interval
        self.prediction = prediction
        self.abar = abar

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
        times = ddpm.draw_times(seeds, len(self.abar), self.interval)
        noise = normal(streams(seed, sample_ids, visits, "noise"), latents.shape[1:])
        return Draw(noise, torch.tensor(times, dtype=torch.int64))

    def corrupt(self, latents: Tensor, noise: Tensor, time: Tensor) -> Corrupted:
        signal, sigma = ddpm.coefficients(self.abar, time, latents.ndim)
        v_prediction = self.prediction is Prediction.V
        target = ddpm.v_target(latents, noise, signal, sigma) if v_prediction else noise
        weight = None
        if self.config.snr.gamma is not None:
            ratio = ddpm.snr(self.abar, time)
            weight = ddpm.min_snr_weight(ratio, self.config.snr.gamma, v_prediction=v_prediction)
        return Corrupted(
            noisy=ddpm.add_noise(latents, noise, signal, sigma),
            time=time,
            target=target,
            weight=weight,
            width=self.width(
                time / len(self.abar), lambda: (sigma / signal.clamp_min(1e-6)).flatten()
            ),
        )


def build_objective(config: NoiseConfig, loss: LossConfig, family) -> Objective:
    """The objective that fits the family's prediction type."""
    facts = family.facts
    if facts.continuous_time:
        schedule = CosineSchedule.of(family.scheduler_config)
        return CosineObjective(
            loss, schedule=schedule, p2_gamma=family.p2_gamma, interval=Interval.of(config.interval)
        )
    if family.prediction is not Prediction.FLOW:
        abar = family.alphas_cumprod.to(family.device)
        return DiscreteObjective(
            loss,
            prediction=family.prediction,
            abar=abar,
            interval=Interval.of(config.interval),
        )
    return FlowObjective(
        config,
        loss,
        sampling=config.sampling or facts.sigma_sampling or "sigmoid",
        shift=config.shift if config.shift is not None else facts.shift,
        patch=2 if facts.packing is Packing.TWO_BY_TWO else 1,
        scheduler=family.scheduler_config,
        rule=family.shift_rule,
        warp=facts.sigma_warp,
    )
