"""What autograd keeps between forward and backward, counted from outside."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode


def saved_bytes(forward: Callable[[], Tensor], weights: Iterable[Tensor]) -> int:
    """Bytes of activations that stay where they are; weights are there anyway.

    Tensors that other hooks take (to host memory) are not seen here, which is the point.
    """
    own = {w.untyped_storage().data_ptr() for w in weights}
    seen: dict[int, int] = {}
    kept: list[Tensor] = []  # a storage that is freed could give its address to another

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            seen[storage.data_ptr()] = storage.nbytes()
            kept.append(tensor)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda t: t):
        forward().float().pow(2).mean().backward()
    return sum(seen.values())


class OpCounter(TorchDispatchMode):
    """Counts calls of operations whose name contains `text`."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.text = text
        self.count = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.count += self.text in str(func)
        return func(*args, **(kwargs or {}))
