"""Exponential moving average of the trainable weights, always in fp32.

In bf16 the average would not move at all (techniques.md §5.2). Updating every n steps uses
decay^n, so the time constant stays in optimiser steps.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor
from torch.nn import Parameter


class EMA:
    """Shadow of named parameters; `count` is the number of updates made."""

    def __init__(self, parameters: Mapping[str, Parameter], *, decay: float, every: int) -> None:
        self.parameters = parameters
        self.decay = decay
        self.every = every
        self.count = 0
        self.shadow = {k: p.detach().float().clone() for k, p in parameters.items()}

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Follow the weights after optimiser step `step` (1-based)."""
        if step % self.every:
            return
        self.count += 1
        decay = min(self.decay, (1.0 + self.count) / (10.0 + self.count)) ** self.every
        live = [p.detach().float() for p in self.parameters.values()]
        torch._foreach_lerp_(list(self.shadow.values()), live, 1.0 - decay)

    @contextmanager
    def scope(self) -> Iterator[None]:
        """Within the block the model computes with the averaged weights (storage swap)."""
        kept = {k: p.data for k, p in self.parameters.items()}
        for k, p in self.parameters.items():
            p.data = self.shadow[k].to(p.dtype)
        try:
            yield
        finally:
            for k, p in self.parameters.items():
                p.data = kept[k]

    def state_dict(self) -> dict[str, Tensor]:
        return dict(self.shadow)

    def load_state_dict(self, tensors: Mapping[str, Tensor], count: int) -> None:
        for key, value in self.shadow.items():
            value.copy_(tensors[key])
        self.count = count
