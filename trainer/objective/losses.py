"""Element losses in fp32, the scheduled pseudo-Huber width, and how elements become one number.

Width: techniques.md §3.2, 2403.16728.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor


def l2(d: Tensor, c: Tensor) -> Tensor:
    return d.square()


def huber(d: Tensor, c: Tensor) -> Tensor:
    return 2.0 * c * ((d.square() + c.square()).sqrt() - c)


def smooth_l1(d: Tensor, c: Tensor) -> Tensor:
    return 2.0 * ((d.square() + c.square()).sqrt() - c)


LOSSES = {"l2": l2, "huber": huber, "smooth_l1": smooth_l1}


def huber_width(schedule: str, c: float, fraction: Tensor, noise_to_signal: Tensor) -> Tensor:
    """Width per sample [B]: 1 at a clean input, `c` at pure noise unless constant.

    `fraction` is the time as a share of the schedule (0 clean, 1 noise); `noise_to_signal` is
    sqrt((1 - abar) / abar) for discrete models and sigma / (1 - sigma) for flow.
    """
    if schedule == "constant":
        return torch.full_like(fraction, c)
    if schedule == "exponential":
        return torch.exp(math.log(c) * fraction)
    return (1.0 - c) / (1.0 + noise_to_signal).square() + c


def reduce_samples(
    per_element: Tensor, weight: Tensor | None, mask: Tensor | None = None
) -> Tensor:
    """Mean over each sample first, then the weighted mean over the batch.

    `mask` [B, 1, h, w] multiplies the elements, the same for all channels and frames. The mean is
    over all of them, masked or not.
    """
    if mask is not None:
        per_element = per_element * (mask if per_element.ndim == 4 else mask.unsqueeze(2))
    per_sample = per_element.flatten(1).mean(1)
    return (per_sample if weight is None else per_sample * weight).mean()
