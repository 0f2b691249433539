"""Block swap: frozen weights of some blocks live in host memory and visit the device to compute.

A ring of buffers on the device holds the blocks that compute now or next. Before a block computes,
its copy is awaited and those of its successors begin, so transfers hide behind computation; frozen
weights never change, so nothing is copied back (techniques.md §5.3). In the backward pass blocks
are computed again by gradient checkpointing, in reverse, which is also what brings their weights
back: a block that is not checkpointed would meet the weights of another one in its backward, and
is refused. A buffer is used again only when a later block is at work, and autograd finishes one
checkpointed block before it begins with another.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from trainer.errors import ConfigError
from trainer.findings import finding
from trainer.memory.blocks import repeated_blocks
from trainer.memory.copies import Copies, copies_for
from trainer.memory.host_block import HostBlock


@dataclass(slots=True)
class Slot:
    """One buffer of the ring; `index` is that of the block whose weights are, or will be, in it."""

    buffer: Tensor
    index: int | None = None
    copy: Any = None  # under way, until it is awaited
    used: int = 0  # when it was last asked for


class BlockSwap:
    """The last `count` blocks of `denoiser`; `checkpointed` tells whether one is computed again."""

    def __init__(
        self,
        denoiser: nn.Module,
        count: int,
        *,
        ring: int,
        device: torch.device,
        checkpointed: Callable[[nn.Module], bool],
        copies: Copies | None = None,
    ) -> None:
        self._copies = copies or copies_for(device)
        self._checkpointed = checkpointed
        self.blocks = [HostBlock.of(block, device) for block in swapped_blocks(denoiser, count)]
        size = max(block.host.numel() for block in self.blocks)
        ring = min(ring, len(self.blocks))
        self.slots = [Slot(_buffer(size, device)) for _ in range(ring)]
        self.fetched = [0] * len(self.blocks)
        self._order = list(range(len(self.blocks)))  # in which they compute, once that is known
        self._seen: list[int] = []
        self._forward = False
        self._clock = 0
        denoiser.register_forward_pre_hook(self._begin)
        denoiser.register_forward_hook(self._end, always_call=True)
        for index, block in enumerate(self.blocks):
            block.block.register_forward_pre_hook(self._before(index))

    def resident(self) -> set[int]:
        """Blocks with weights on the device."""
        return {slot.index for slot in self.slots if slot.index is not None}

    def _begin(self, module: nn.Module, args: Any) -> None:
        self._forward, self._seen = True, []

    def _end(self, module: nn.Module, args: Any, output: Any) -> None:
        self._forward = False
        if len(self._seen) == len(self.blocks):
            self._order = self._seen

    def _before(self, index: int) -> Callable[[nn.Module, Any], None]:
        def hook(module: nn.Module, args: Any) -> None:
            if self._forward:
                self._seen.append(index)
                if torch.is_grad_enabled() and not self._checkpointed(module):
                    raise _kept(module)
            self._await(self._fetch(index))
            for coming in self._coming(index):
                self._fetch(coming)

        return hook

    def _coming(self, index: int) -> Sequence[int]:
        """Blocks that compute next, as many as the ring has room for."""
        place, room = self._order.index(index), len(self.slots) - 1
        if self._forward:
            return self._order[place + 1 : place + 1 + room]
        return self._order[max(0, place - room) : place][::-1]

    def _fetch(self, index: int) -> Slot:
        """The slot of a block, its copy begun."""
        self._clock += 1
        slot = next((s for s in self.slots if s.index == index), None)
        if slot is None:
            slot = min(self.slots, key=lambda s: s.used)
            if slot.index is not None:
                self.blocks[slot.index].leave()
            slot.index = index
            block = self.blocks[index]
            buffer = slot.buffer[: block.host.numel()]
            slot.copy = self._copies.begin(buffer, block.host)
            block.enter(buffer)
            self.fetched[index] += 1
        slot.used = self._clock
        return slot

    def _await(self, slot: Slot) -> None:
        if slot.copy is not None:
            self._copies.finish(slot.copy)
            slot.copy = None


def _buffer(size: int, device: torch.device) -> Tensor:
    return torch.empty(size, dtype=torch.uint8, device=device)


def _kept(block: nn.Module) -> ConfigError:
    return ConfigError(
        finding(
            "CFG289",
            f"the model does not checkpoint its {type(block).__name__}, so it cannot be swapped",
            where="compute.offload.blocks",
            why="its backward would meet the weights of another block",
            fix="set a smaller compute.offload.blocks",
        )
    )


def swapped_blocks(denoiser: nn.Module, count: int) -> list[nn.Module]:
    """The last `count` blocks; more than there are is a finding."""
    blocks = [block for _, block in repeated_blocks(denoiser)]
    if count > len(blocks):
        raise ConfigError(
            finding(
                "CFG290",
                f"{count} blocks are to be swapped, {type(denoiser).__name__} has {len(blocks)}",
                where="compute.offload.blocks",
                fix=f"set compute.offload.blocks = {len(blocks)} to swap all of them",
                patch={"compute.offload.blocks": len(blocks)} if blocks else None,
            )
        )
    return blocks[len(blocks) - count :]
