"""Prodigy (2306.06101): estimates the distance to the solution and from it the step size.

`lr` multiplies the estimate and normally stays 1. The estimate `d` lives in the optimiser's
parameter groups, so it is part of the checkpoint.
"""

from __future__ import annotations

from typing import Any

from torch.optim import Optimizer


def build(groups: list[dict[str, Any]], lr: float, args: dict[str, Any]) -> Optimizer:
    from prodigyopt import Prodigy

    return Prodigy(
        groups,
        lr=lr,
        betas=tuple(args["betas"]),
        eps=args["eps"],
        weight_decay=args["weight_decay"],
        d_coef=args["d_coef"],
        d0=args["d0"],
        use_bias_correction=args["use_bias_correction"],
        safeguard_warmup=args["safeguard_warmup"],
    )
