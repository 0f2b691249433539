"""The change that an adapter makes to one layer: `base(x) + strength * change(x)`.

The form of the change is an `Algorithm`: how its tensors start, the weight they stand for, and for
linear layers maybe a shorter way to its product with the input. The frozen weight is never touched
and never added to: in bf16 the sum would round small changes away. So the base model is there to
the bit at strength 0, for every form.

DoRA (2402.09353) goes on top of a form: the changed weight gets rows of trained length. As in the
paper, the length that it divides by counts as a constant in backward.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.hooks import RemovableHandle

from trainer.adapters.lycoris.layer import Layer

DORA = "dora_scale"
Dense = tuple[Tensor, Tensor | None]  # change of the weight, and of the bias where there is one


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """What is asked for one layer."""

    algo: str
    rank: int = 16
    alpha: float = 16.0
    rslora: bool = False
    dora: bool = False
    factor: int = 16
    full_matrix: bool = False
    decompose_both: bool = False
    init_norm: float | None = None
    block_size: int = 1
    constraint: float | None = None
    rescaled: bool = False


@dataclass(slots=True)
class Switch:
    """Shared by the layers of an adapter; `part` is the share of DyLoRA's ranks in use.

    Strength 0 is not the same as off: there are gradients then, all of them 0.
    """

    strength: float = 1.0
    off: bool = False
    part: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Algorithm:
    """A form of change. `inner` names a tensor and its axis that has the rank, from which readers
    take it; `carriers` are the tensors in which all of the change is one factor."""

    start: Callable[[Layer, Form], dict[str, Tensor]]
    dense: Callable[[Change], Dense]
    short: Callable[[Change, Tensor], Tensor] | None = None
    inner: tuple[tuple[str, int], ...] = ()
    carriers: tuple[str, ...] = ()

    def rank(self, tensors: Mapping[str, Tensor]) -> int:
        """The rank that readers see; 1 where there is none."""
        found = (tensors[name].shape[axis] for name, axis in self.inner if name in tensors)
        return next(found, 1)


@dataclass(slots=True, kw_only=True)
class Change:
    """Trained tensors of one layer and what they do; `scale` multiplies the change."""

    layer: Layer
    algorithm: Algorithm
    tensors: dict[str, Tensor]
    scale: float = 1.0
    constraint: float | None = None
    dropout: float = 0.0
    switch: Switch = field(default_factory=Switch)

    def __getitem__(self, name: str) -> Tensor:
        return self.tensors[name]

    def __call__(self, x: Tensor) -> Tensor:
        """What is added to the layer's result at strength 1."""
        dropping = self.dropout > 0.0 and self.layer.module.training
        moved = self._product(F.dropout(x, self.dropout) if dropping else x)
        if DORA not in self.tensors:
            return moved
        ratio = self.layer.on_outputs(self._ratio())
        return (ratio - 1.0) * self.layer.base(x) + ratio * moved

    def _product(self, x: Tensor) -> Tensor:
        if self.algorithm.short is not None and self.layer.linear:
            return self.algorithm.short(self, x)
        weight, bias = self.weight()
        return self.layer.apply(x, weight.to(x.dtype), None if bias is None else bias.to(x.dtype))

    def weight(self) -> Dense:
        """The change of the weight without DoRA, in fp32 also under autocast."""
        with torch.autocast(self.layer.module.weight.device.type, enabled=False):
            return self.algorithm.dense(self)

    def _ratio(self) -> Tensor:
        """Trained length of each row over the length that the changed row has."""
        with torch.no_grad():
            changed = self.layer.weight + self.weight()[0]
            length = changed.flatten(1).norm(dim=1)
        return self[DORA].float().flatten() / (length + torch.finfo(torch.float32).eps)

    def attach(self, outer: torch.nn.Module | None = None) -> RemovableHandle:
        """Let the layer's result be changed from now on; `outer` is what is called in its place."""

        def add(module: torch.nn.Module, args: tuple[Tensor, ...], out: Tensor) -> Tensor:
            strength = self.switch.strength
            if self.switch.off or (strength == 0.0 and not torch.is_grad_enabled()):
                return out
            moved = self(args[0])
            return out + (moved if strength == 1.0 else moved * strength).to(out.dtype)

        return (outer or self.layer.module).register_forward_hook(add)


def lengths(layer: Layer) -> Tensor:
    """Row lengths of the frozen weight, where DoRA starts."""
    return layer.per_output(layer.weight.flatten(1).norm(dim=1))


def as_computed(x: Tensor, weight: Tensor) -> Tensor:
    """The input in the precision of the trained weight, unless autocast chooses one for both."""
    if x.dtype is weight.dtype or torch.is_autocast_enabled(x.device.type):
        return x
    return x.to(weight.dtype)
