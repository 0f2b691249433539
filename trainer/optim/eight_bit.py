"""Optimisers of bitsandbytes: states in 8 bits, in blocks of 256 with a scale each (2110.02861).

Tensors of fewer than 4096 numbers keep states of full precision. Paged states move to host memory
when the device runs full.
"""

from __future__ import annotations

from typing import Any

from torch.optim import Optimizer

from trainer.memory.quant_backends import quiet


def _make(name: str, groups: list[dict[str, Any]], lr: float, args: dict[str, Any]) -> Optimizer:
    with quiet():
        from bitsandbytes import optim

    rest = {k: v for k, v in args.items() if k != "betas"}
    return getattr(optim, name)(groups, lr=lr, betas=tuple(args["betas"]), **rest)


def adamw(groups: list[dict[str, Any]], lr: float, args: dict[str, Any]) -> Optimizer:
    return _make("AdamW8bit", groups, lr, args)


def paged_adamw(groups: list[dict[str, Any]], lr: float, args: dict[str, Any]) -> Optimizer:
    return _make("PagedAdamW8bit", groups, lr, args)


def lion(groups: list[dict[str, Any]], lr: float, args: dict[str, Any]) -> Optimizer:
    return _make("Lion8bit", groups, lr, args)
