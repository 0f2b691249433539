"""Gradient norm and clipping without a host synchronisation."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import Parameter


def clip_by_norm(parameters: Sequence[Parameter], limit: float | None) -> Tensor:
    """Global L2 norm before clipping (device scalar); gradients scaled in place to `limit`.

    The factor is clamped on the device instead of being compared on the host.
    """
    grads = [p.grad for p in parameters if p.grad is not None]
    norm = torch.linalg.vector_norm(torch.stack(torch._foreach_norm(grads))).float()
    if limit is not None:
        factor = (limit / (norm + 1e-6)).clamp(max=1.0)
        torch._foreach_mul_(grads, factor.to(grads[0].dtype))
    return norm
