"""Gradient checkpointing: what a block keeps for backward (1604.06174, techniques.md §5.1).

diffusers hands every block to one callable. This one decides by block: `layer` keeps the inputs
alone and computes the block again, `offload` keeps those inputs in host memory, `selective` keeps
the results of attention as well, so that it is not computed again. With an interval of n, one
block of n is checkpointed and the others keep everything. Gradients are equal to the last bit,
since the same kernels run on the same numbers.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import Any

import torch
from torch.utils.checkpoint import (
    CheckpointPolicy,
    checkpoint,
    create_selective_checkpoint_contexts,
)

from trainer.config.schema.compute import CheckpointingConfig

ATTENTION = tuple(
    getattr(torch.ops.aten, name).default
    for name in (
        "_scaled_dot_product_flash_attention",
        "_scaled_dot_product_efficient_attention",
        "_scaled_dot_product_cudnn_attention",
        "_scaled_dot_product_flash_attention_for_cpu",
    )
)


class Checkpointing:
    """The callable for `enable_gradient_checkpointing`; blocks are numbered as they first run."""

    def __init__(self, config: CheckpointingConfig, device: torch.device) -> None:
        self.config = config
        self.device = device
        self._numbers: dict[int, int] = {}

    def covers(self, block: Callable[..., Any]) -> bool:
        """Whether the block came through here and is computed again in backward."""
        number = self._numbers.get(id(block))
        return number is not None and number % self.config.interval == 0

    def __call__(self, block: Callable[..., Any], *args: Any) -> Any:
        number = self._numbers.setdefault(id(block), len(self._numbers))
        if number % self.config.interval:
            return block(*args)
        with self._storage():
            return checkpoint(block.__call__, *args, use_reentrant=False, **self._kept())

    def _storage(self) -> AbstractContextManager[Any]:
        """Where inputs of the block are put until its backward pass."""
        if self.config.mode != "offload":
            return nullcontext()
        return torch.autograd.graph.save_on_cpu(pin_memory=self.device.type == "cuda")

    def _kept(self) -> dict[str, Any]:
        if self.config.mode != "selective":
            return {}
        return {"context_fn": partial(create_selective_checkpoint_contexts, _keep_attention)}


def _keep_attention(context: Any, op: Any, *args: Any, **kwargs: Any) -> CheckpointPolicy:
    return CheckpointPolicy.MUST_SAVE if op in ATTENTION else CheckpointPolicy.PREFER_RECOMPUTE
