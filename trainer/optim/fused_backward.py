"""Each weight is updated as soon as its gradient is there, and the gradient dropped.

Gradients of all weights are then never in memory at once: a full training saves as many bytes as
its weights have (techniques.md §6.3). The updates are those of ordinary steps, since the rules
allowed here treat every weight by itself; what looks at all gradients together (clipping by norm)
or adds up several backward passes (accumulation) is refused by lint.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import Parameter
from torch.optim import Optimizer


class FusedBackward:
    """One optimiser per weight, made by `make`; to the loop it looks like one for all."""

    def __init__(
        self, parameters: Sequence[Parameter], make: Callable[[Sequence[Parameter]], Optimizer]
    ) -> None:
        self._each = [make([parameter]) for parameter in parameters]
        self._norms: list[Tensor] = []
        for parameter, optimizer in zip(parameters, self._each, strict=True):
            parameter.register_post_accumulate_grad_hook(self._update(optimizer))

    @property
    def param_groups(self) -> list[dict[str, Any]]:
        return [group for optimizer in self._each for group in optimizer.param_groups]

    def _update(self, optimizer: Optimizer) -> Callable[[Tensor], None]:
        def hook(parameter: Tensor) -> None:
            assert parameter.grad is not None
            self._norms.append(torch.linalg.vector_norm(parameter.grad.detach()).float())
            optimizer.step()
            parameter.grad = None

        return hook

    def take_norm(self) -> Tensor:
        """Global norm of the gradients since the last call (device scalar)."""
        norm = torch.linalg.vector_norm(torch.stack(self._norms))
        self._norms = []
        return norm

    def step(self) -> None:
        """Nothing is left to do after a backward pass."""

    def zero_grad(self, *, set_to_none: bool = True) -> None:
        """Gradients are gone already."""

    def state_dict(self) -> dict[str, Any]:
        return {"each": [optimizer.state_dict() for optimizer in self._each]}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        for optimizer, own in zip(self._each, state["each"], strict=True):
            optimizer.load_state_dict(own)
