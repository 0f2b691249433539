"""Rectified flow: noise times, shift, interpolation and target (families.md §1.1, §2.2).

Convention: sigma 1 is pure noise, `x = (1 - sigma) x0 + sigma eps`, target `eps - x0`. Families
that point the other way translate inside their own `forward`.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from functools import partial

from torch import Tensor

from trainer.objective.interval import WHOLE, Interval

Density = Callable[[random.Random, float], float]
"""Draws one sigma. The second argument is what a dataset adds to the normal draw; densities
without a normal draw have no use for it."""


def logit_normal(scale: float) -> Density:
    """sigmoid(scale * (N(0, 1) + offset)); Esser et al. 2024 (2403.03206)."""

    def draw(r: random.Random, offset: float) -> float:
        x = scale * (r.gauss(0.0, 1.0) + offset)
        return 1.0 / (1.0 + math.exp(-max(-700.0, x)))  # beyond that exp overflows

    return draw


def uniform() -> Density:
    """U(0, 1]; zero is left out, because a clean latent teaches nothing."""
    return lambda r, offset: 1.0 - r.random()


def beta(alpha: float, beta_: float) -> Density:
    return lambda r, offset: r.betavariate(alpha, beta_)


def density(name: str, *, sigmoid_scale: float, alpha: float, beta_: float) -> Density:
    table: dict[str, Callable[[], Density]] = {
        "sigmoid": lambda: logit_normal(sigmoid_scale),
        "uniform": uniform,
        "beta": lambda: beta(alpha, beta_),
    }
    return table[name]()


def shift_sigma(sigma: float, factor: float) -> float:
    """`k sigma / (1 + (k - 1) sigma)`: moves mass towards noise for k > 1; fixes 0 and 1."""
    return factor * sigma / (1.0 + (factor - 1.0) * sigma)


def to_the_ends(sigma: float) -> float:
    """`s^2` below a half, `1 - (1 - s)^2` from there on; fixes 0 and 1. Nothing is drawn between a
    quarter and three quarters."""
    return sigma**2 if sigma < 0.5 else 1.0 - (1.0 - sigma) ** 2


WARPS: dict[str, Callable[[float], float]] = {"ends": to_the_ends}


def auto_shift(
    tokens: int,
    *,
    base_tokens: int = 256,
    max_tokens: int = 4096,
    base_shift: float = 0.5,
    max_shift: float = 1.15,
) -> float:
    """Resolution-dependent factor `exp(mu)`, mu linear in the number of image tokens."""
    slope = (max_shift - base_shift) / (max_tokens - base_tokens)
    return math.exp(base_shift + slope * (tokens - base_tokens))


def draw_sigmas(
    seeds: Sequence[int],
    draw: Density,
    factor: float,
    offset: float = 0.0,
    *,
    warp: Callable[[float], float] | None = None,
    interval: Interval = WHOLE,
) -> list[float]:
    """One sigma in (0, 1] per stream seed: drawn, shifted, warped. The interval is that of the
    sigmas that come of it, as the model and every sampler sees them."""
    tiny = 1e-5  # keeps the model off the exactly clean input, where the SNR is infinite

    def one(stream: random.Random) -> float:
        sigma = shift_sigma(draw(stream, offset), factor)
        return sigma if warp is None else warp(sigma)

    streams = (random.Random(seed) for seed in seeds)
    return [max(tiny, interval.sigma(partial(one, stream))) for stream in streams]


def interpolate(x0: Tensor, eps: Tensor, sigma: Tensor) -> Tensor:
    """`x0`, `eps` [B, ...], `sigma` [B]."""
    s = sigma.view(-1, *(1,) * (x0.ndim - 1))
    return x0 + s * (eps - x0)


def velocity(x0: Tensor, eps: Tensor) -> Tensor:
    return eps - x0
