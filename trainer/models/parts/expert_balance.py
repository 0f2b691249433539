"""The loss that keeps the experts of a mixture equally busy (Switch Transformers, 2101.03961).

For each router: mean score of an expert times the share of picks that it got, summed over the E
experts and multiplied by E; 1 when all are equally busy. Routers are looked at by forward hooks
while the model is called. Gradient checkpointing calls the layers once more within backward: then
the hooks do the same work, as it demands, and their result is dropped.

The class computes such a term by itself and drops it, reading values from the device; that is
turned off here.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def balance(scores: Tensor, picks: Tensor) -> Tensor:
    """Of router scores [N, E] and the numbers of the picked experts [N, k]."""
    experts = torch.arange(scores.shape[-1], device=scores.device)
    share = (picks.reshape(-1, 1) == experts).float().mean(0)
    return scores.shape[-1] * (scores.mean(0) * share).sum()


class ExpertBalance:
    """Watches all modules of class `MoEGate` in a denoiser; `weight` 0 watches none."""

    def __init__(self, denoiser: nn.Module, weight: float) -> None:
        self.weight = weight
        self._terms: list[Tensor] = []
        self._open = False
        for module in denoiser.modules():
            if type(module).__name__ == "MoEGate":
                module.alpha = 0.0  # type: ignore[assignment]
                if weight:
                    module.register_forward_hook(self._look)

    def _look(self, gate: Any, inputs: tuple[Tensor], outputs: tuple[Tensor, ...]) -> None:
        if not gate.training or not torch.is_grad_enabled():
            return
        logits = F.linear(inputs[0].flatten(0, -2), gate.weight)
        term = balance(logits.float().softmax(-1), outputs[0])
        if self._open:
            self._terms.append(term)

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Within the block, one call of the denoiser is watched."""
        self._terms.clear()
        self._open = True
        try:
            yield
        finally:
            self._open = False

    def loss(self) -> Tensor | None:
        """Weighted sum over the routers of the last call; None where nothing was watched."""
        return self.weight * torch.stack(self._terms).sum() if self._terms else None
