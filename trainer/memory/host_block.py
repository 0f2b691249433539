"""Frozen weights of one block as a single piece of host memory.

One copy then brings the whole block to the device, where its weights are views into a buffer. A
quantised weight consists of several tensors, which are swapped one by one inside it. While a block
is away its plain weights are placeholders: right in shape, dtype and device, one number in size,
so that whoever looks at them (a loader that places an adapter) finds what it expects.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

ALIGN = 256  # bytes; what kernels want of the address of a matrix


@dataclass(slots=True)
class Cell:
    """One stored tensor of a block and its place in the block's memory."""

    put: Callable[[Tensor], None]
    shape: torch.Size
    dtype: torch.dtype
    start: int
    num_bytes: int

    def view(self, buffer: Tensor) -> Tensor:
        piece = buffer[self.start : self.start + self.num_bytes]
        return piece.view(self.dtype).view(self.shape)


@dataclass(slots=True)
class HostBlock:
    """Weights of `block`; the host memory is filled once and never written again."""

    block: nn.Module
    device: torch.device
    cells: list[Cell] = field(default_factory=list)
    host: Tensor = field(default_factory=lambda: torch.empty(0, dtype=torch.uint8))

    @classmethod
    def of(cls, block: nn.Module, device: torch.device) -> HostBlock:
        """Take the frozen weights out of `block`, which then sits on `device` without them."""
        made = cls(block.to(device), device)
        found = list(_stored(block))
        for tensor, put in found:
            start = _aligned(made.cells[-1].start + made.cells[-1].num_bytes if made.cells else 0)
            made.cells.append(Cell(put, tensor.shape, tensor.dtype, start, tensor.nbytes))
        total = made.cells[-1].start + made.cells[-1].num_bytes if made.cells else 0
        made.host = torch.empty(total, dtype=torch.uint8, pin_memory=device.type == "cuda")
        for (tensor, _), cell in zip(found, made.cells, strict=True):
            cell.view(made.host).copy_(tensor)
        del found
        made.leave()
        return made

    def enter(self, buffer: Tensor) -> None:
        """The weights are those in `buffer`."""
        for cell in self.cells:
            cell.put(cell.view(buffer))

    def leave(self) -> None:
        """The weights are away."""
        for cell in self.cells:
            cell.put(torch.empty(1, dtype=cell.dtype, device=self.device).expand(cell.shape))


def _aligned(start: int) -> int:
    return -(-start // ALIGN) * ALIGN


def _stored(block: nn.Module) -> Iterator[tuple[Tensor, Callable[[Tensor], None]]]:
    """Plain tensors that frozen weights consist of, and how to replace each."""
    seen: set[int] = set()
    for module in block.modules():
        for parameter in module._parameters.values():
            if parameter is None or parameter.requires_grad or id(parameter) in seen:
                continue
            seen.add(id(parameter))
            if hasattr(parameter, "__tensor_flatten__"):
                yield from _inner(parameter)
            else:
                yield parameter.data, _data_of(parameter)


def _inner(weight: Any) -> Iterator[tuple[Tensor, Callable[[Tensor], None]]]:
    for name in weight.__tensor_flatten__()[0]:
        tensor = getattr(weight, name)
        if hasattr(tensor, "__tensor_flatten__"):
            yield from _inner(tensor)
        else:
            yield tensor, _attribute_of(weight, name)


def _data_of(parameter: nn.Parameter) -> Callable[[Tensor], None]:
    def put(tensor: Tensor) -> None:
        parameter.data = tensor

    return put


def _attribute_of(weight: Any, name: str) -> Callable[[Tensor], None]:
    def put(tensor: Tensor) -> None:
        setattr(weight, name, tensor)

    return put
