"""Discrete diffusion: noising, epsilon and v targets, SNR (Ho 2020; Salimans & Ho 2022).

`abar` is the cumulative product of alphas of the family's own schedule, fp32 [T]. Times are
integers 0..T-1, T-1 the noisiest.
"""

from __future__ import annotations

import random
from collections.abc import Sequence

import torch
from torch import Tensor

from trainer.objective.interval import WHOLE, Interval


def draw_times(seeds: Sequence[int], num_times: int, interval: Interval = WHOLE) -> list[int]:
    """One time per stream seed, uniform over the trained part of the schedule."""
    bounds = interval.times(num_times)
    return [random.Random(s).randrange(*bounds) for s in seeds]


def coefficients(abar: Tensor, time: Tensor, ndim: int) -> tuple[Tensor, Tensor]:
    """sqrt(abar_t) and sqrt(1 - abar_t), each [B, 1, ...]."""
    a = abar[time].view(-1, *(1,) * (ndim - 1))
    return a.sqrt(), (1.0 - a).sqrt()


def add_noise(x0: Tensor, eps: Tensor, signal: Tensor, noise: Tensor) -> Tensor:
    return signal * x0 + noise * eps


def v_target(x0: Tensor, eps: Tensor, signal: Tensor, noise: Tensor) -> Tensor:
    return signal * eps - noise * x0


def snr(abar: Tensor, time: Tensor) -> Tensor:
    """Signal to noise ratio abar / (1 - abar), [B]."""
    a = abar[time]
    return a / (1.0 - a)


def zero_terminal_snr(abar: Tensor) -> Tensor:
    """Rescale the schedule so that the last step carries no signal (2305.08891, alg. 1)."""
    root = abar.sqrt()
    first, last = root[0].clone(), root[-1].clone()
    scaled = (root - last) * first / (first - last)
    scaled[-1] = 0.0  # exact, whatever rounding did
    return scaled.square()


def min_snr_weight(ratio: Tensor, gamma: float, *, v_prediction: bool) -> Tensor:
    """Min-SNR-gamma loss weight per sample (2303.09556); finite also where the SNR is 0 for v."""
    clipped = torch.clamp(ratio, max=gamma)
    return clipped / (ratio + 1.0) if v_prediction else clipped / ratio
