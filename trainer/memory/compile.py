"""torch.compile on the repeated blocks of a denoiser.

All blocks of a class share one compilation, so the first step waits for one block instead of for
the whole network, and what surrounds the blocks stays plain Python.
"""

from __future__ import annotations

from typing import Any

from torch import nn

from trainer.config.schema.speed import CompileConfig
from trainer.errors import ConfigError
from trainer.findings import finding
from trainer.memory.blocks import repeated_blocks


def compile_blocks(denoiser: nn.Module, config: CompileConfig) -> int:
    """Mark the blocks; each kind is compiled at its first call. Returns how many there are."""
    options: dict[str, Any] = {"backend": config.backend, "fullgraph": config.fullgraph}
    if config.mode is not None:
        options["mode"] = config.mode
    if config.dynamic is not None:
        options["dynamic"] = config.dynamic
    blocks = repeated_blocks(denoiser)
    if not blocks:
        raise ConfigError(
            finding(
                "CFG294",
                f"{type(denoiser).__name__} has no repeated blocks to compile",
                where="compute.compile.backend",
                fix="remove compute.compile.backend",
            )
        )
    for _, block in blocks:
        block.compile(**options)
    return len(blocks)
