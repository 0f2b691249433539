"""Torch's AdamW on fp32 weights; the fused kernel where the device has one."""

from __future__ import annotations

from typing import Any

from torch.optim import AdamW, Optimizer


def build(groups: list[dict[str, Any]], lr: float, args: dict[str, Any]) -> Optimizer:
    device = groups[0]["params"][0].device.type
    fused = device in ("cpu", "cuda", "mps")
    return AdamW(
        groups,
        lr=lr,
        betas=tuple(args["betas"]),
        eps=args["eps"],
        weight_decay=args["weight_decay"],
        fused=fused,
    )
