"""Subtract the pair that a PiSSA or OLoRA adapter started from.

`base(x) + s B(A(x)) - s B0(A0(x))` is what such an adapter computes; the base weight keeps its
value. So the base model is there to the bit when the adapter is off, a strength scales the whole
change, and the exported file is a plain LoRA of twice the rank: `[A; A0]` and `[B, -B0]`.
"""

from __future__ import annotations

from types import MethodType
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

DOWN, UP = "prior_down", "prior_up"


def install(layer: Any, adapter: str) -> None:
    """Keep the present pair of `adapter` and subtract what it does from now on."""
    layer.register_buffer(DOWN, layer.lora_A[adapter].weight.detach().clone(), persistent=False)
    layer.register_buffer(UP, layer.lora_B[adapter].weight.detach().clone(), persistent=False)
    layer.prior_of = adapter
    layer.with_prior = layer.__dict__.get("forward", MethodType(type(layer).forward, layer))
    layer.forward = MethodType(forward, layer)


def forward(self: Any, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
    """As before, without the prior; with `self` a PEFT layer."""
    out = self.with_prior(x, *args, **kwargs)
    active = self._active_adapter
    alone = active == self.prior_of or active == [self.prior_of]
    if not alone or self._disable_adapters or self.merged_adapters:
        return out
    return out - subtracted(self, x).to(out.dtype) * self.scaling[self.prior_of]


def subtracted(layer: Any, x: Tensor) -> Tensor:
    down = layer.lora_A[layer.prior_of]
    x = x.to(layer.prior_down.dtype)
    if isinstance(down, torch.nn.Linear):
        return F.linear(F.linear(x, layer.prior_down), layer.prior_up)
    middle = down._conv_forward(x, layer.prior_down, None)
    return layer.lora_B[layer.prior_of]._conv_forward(middle, layer.prior_up, None)
