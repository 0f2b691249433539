"""A shorter way through PEFT's linear LoRA layer while it trains.

PEFT's forward serves many adapters, variants and merges; for one plain adapter it costs more Python
than arithmetic on small layers, and an extra pass over the output on large ones: the scale here
acts on the rank-sized middle and the sum is part of the last matrix product. Whatever else is asked
of the layer (another adapter, none, a merge, no gradients) goes PEFT's own way, so sampling and
checks compute exactly what a user's pipeline computes.
"""

from __future__ import annotations

from types import MethodType
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def install(model: nn.Module, adapter: str) -> int:
    """Shorten the layers of `model` that have the plain `adapter`; returns how many."""
    from peft.tuners.lora.layer import Linear

    count = 0
    for module in model.modules():
        if not isinstance(module, Linear) or type(module).forward is not Linear.forward:
            continue  # a quantised base may have a class of its own, with the same forward
        if adapter not in module.lora_A:
            continue
        plain = adapter not in module.lora_variant and not module.lora_bias[adapter]
        if plain and isinstance(module.lora_dropout[adapter], nn.Identity):
            module.lean_adapter = adapter  # type: ignore[assignment]
            module.forward = MethodType(forward, module)
            count += 1
    return count


def forward(self: Any, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
    """`base(x) + scale * B(A(x))`, with `self` a PEFT linear layer."""
    active = self._active_adapter
    alone = active == self.lean_adapter or active == [self.lean_adapter]
    if not alone or args or kwargs or self._disable_adapters or self.merged_adapters:
        return type(self).forward(self, x, *args, **kwargs)
    if not torch.is_grad_enabled():
        return type(self).forward(self, x)
    down = self.lora_A[self.lean_adapter].weight  # [r, in]
    up = self.lora_B[self.lean_adapter].weight  # [out, r]
    scale = self.scaling[self.lean_adapter]
    base = self.base_layer(x)
    middle = F.linear(x.to(down.dtype), down)
    if scale != 1.0:
        middle = middle * scale
    if base.dtype is not middle.dtype:  # weights of another precision, outside of autocast
        return base + F.linear(middle, up).to(base.dtype)
    flat = torch.addmm(base.flatten(0, -2), middle.flatten(0, -2), up.t())
    return flat.view(base.shape)
