"""Schedule-free AdamW (2405.15682): averages its iterates instead of lowering the rate.

The weights it trains at (y) are not the weights to use (x): `train()` and `eval()` of the
optimiser move between the two, which the loop does around validation and saving.
"""

from __future__ import annotations

from typing import Any

from torch.optim import Optimizer


def build(groups: list[dict[str, Any]], lr: float, args: dict[str, Any]) -> Optimizer:
    from schedulefree import AdamWScheduleFree

    optimizer = AdamWScheduleFree(
        groups,
        lr=lr,
        betas=tuple(args["betas"]),
        eps=args["eps"],
        weight_decay=args["weight_decay"],
        warmup_steps=args["warmup_steps"],
    )
    optimizer.train()
    return optimizer
