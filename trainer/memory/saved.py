"""What autograd keeps between forward and backward, counted from outside."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from torch import Tensor

from trainer.memory.resident import stored_tensors


def saved_bytes(forward: Callable[[], object], weights: Iterable[Tensor]) -> int:
    """Bytes of activations that stay where they are; weights are there anyway.

    Tensors that other hooks take (to host memory) are not seen here, which is the point.
    """
    own = {_address(piece) for weight in weights for piece in stored_tensors(weight)}
    seen: dict[int, int] = {}
    kept: list[object] = []  # a storage that is freed could give its address to another

    def pack(tensor: Tensor) -> Tensor:
        for piece in stored_tensors(tensor):
            if _address(piece) not in own:
                seen[_address(piece)] = piece.untyped_storage().nbytes()
        kept.append(tensor)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda t: t):
        kept.append(forward())  # as long as the result lives, so does what it keeps
    return sum(seen.values())


def _address(tensor: Tensor) -> int:
    return tensor.untyped_storage().data_ptr()
