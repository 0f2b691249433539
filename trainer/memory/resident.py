"""Bytes that a network's weights really take, whatever they are wrapped in.

Quantised weights are tensors of tensors (values, scales, zero points) that report the shape and
dtype of what they stand for; counted here is what is stored. The effect audit compares such
numbers before and after (beyond.md B04).
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import Any

import torch
from torch import Tensor, nn


def weight_bytes(module: nn.Module) -> int:
    """Bytes of all parameters and buffers; what is shared counts once."""
    seen: dict[int, int] = {}
    for tensor in chain(module.parameters(), module.buffers()):
        for stored in stored_tensors(tensor):
            storage = stored.untyped_storage()
            seen[storage.data_ptr() or id(storage)] = storage.nbytes()
    return sum(seen.values())


def stored_tensors(tensor: Any) -> Iterator[Tensor]:
    """Plain tensors that a weight consists of."""
    if hasattr(tensor, "__tensor_flatten__"):
        for name in tensor.__tensor_flatten__()[0]:
            yield from stored_tensors(getattr(tensor, name))
        return
    yield tensor
    state = getattr(tensor, "quant_state", None)  # bitsandbytes keeps its scales beside the weight
    while state is not None:
        yield from (t for t in (state.absmax, state.code, state.offset) if torch.is_tensor(t))
        state = state.state2
