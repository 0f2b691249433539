"""DoRA at another strength: base plus `strength` times what the adapter changes.

PEFT's scale acts inside DoRA's normalisation, so a scale of 0 is not the base model. Sliders need
it to be, and the programs that load the files (ComfyUI) blend in the same way as is done here.
"""

from __future__ import annotations

from types import MethodType
from typing import Any

import torch
from torch import Tensor


def install(layer: Any, adapter: str) -> None:
    """Let `layer.strength` scale all that the DoRA adapter changes."""
    layer.strength = 1.0
    layer.dora_adapter = adapter
    layer.forward = MethodType(forward, layer)


def forward(self: Any, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
    """PEFT's result, blended with the base layer's; with `self` a PEFT layer."""
    whole = type(self).forward(self, x, *args, **kwargs)
    if self.strength == 1.0 or self._disable_adapters:
        return whole
    return torch.lerp(self.base_layer(x, *args, **kwargs), whole, self.strength)
