"""The repeated blocks of a network: what is swapped, compiled and sharded as a unit."""

from __future__ import annotations

from collections.abc import Collection

import torch
from torch import nn


def repeated_blocks(module: nn.Module) -> list[tuple[str, nn.Module]]:
    """Names and blocks in order; of classes that diffusers does not mark, the lists at the top."""
    marked = set(getattr(module, "_repeated_blocks", None) or ())
    if marked:
        return [(n, m) for n, m in module.named_modules() if type(m).__name__ in marked]
    return [
        (f"{name}.{index}", block)
        for name, blocks in module.named_children()
        if isinstance(blocks, nn.ModuleList)
        for index, block in enumerate(blocks)
        if type(block).__name__.endswith(("Block", "Layer"))
    ]


def place(module: nn.Module, device: torch.device, away: Collection[nn.Module]) -> nn.Module:
    """Move `module` to `device`, all but the blocks `away`."""
    if module in away:
        return module
    module._apply(lambda tensor: tensor.to(device), recurse=False)
    for child in module.children():
        place(child, device, away)
    return module
