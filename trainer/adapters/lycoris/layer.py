"""A layer that can be adapted: linear or a convolution, seen as one weight applied to an input."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)


def adaptable(module: nn.Module) -> bool:
    return isinstance(module, (nn.Linear, *CONVOLUTIONS))


@dataclass(frozen=True, slots=True)
class Layer:
    """`module` is the base layer itself, under whatever wraps it."""

    name: str
    module: Any

    @property
    def linear(self) -> bool:
        return isinstance(self.module, nn.Linear)

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the weight: outputs, inputs, kernel."""
        module = self.module
        if self.linear:
            return (module.out_features, module.in_features)
        inputs = module.in_channels // module.groups
        return (module.out_channels, inputs, *module.kernel_size)

    @property
    def weight(self) -> Tensor:
        """The frozen weight in fp32: what is computed from it must not be rounded to its grid."""
        return self.module.weight.detach().float()

    def per_output(self, values: Tensor) -> Tensor:
        """One value for each output, shaped to multiply the weight."""
        return values.view(-1, *(1 for _ in self.shape[1:]))

    def apply(self, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        """What the layer would give with this weight."""
        if self.linear:
            return F.linear(x, weight, bias)
        return self.module._conv_forward(x, weight, bias)

    def base(self, x: Tensor) -> Tensor:
        """What the frozen layer gives, without its bias."""
        out = type(self.module).forward(self.module, x)
        bias = self.module.bias
        return out if bias is None else out - self.on_outputs(bias)

    def on_outputs(self, values: Tensor) -> Tensor:
        """One value for each output, shaped to meet the layer's result."""
        return values.flatten() if self.linear else values.view(-1, *(1 for _ in self.shape[2:]))
