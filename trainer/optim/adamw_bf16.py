"""AdamW for bf16 weights: fp32 maths, bf16 states, stochastic rounding on write-back.

Rounding to nearest loses every update smaller than half a bf16 step; rounding up or down at
random with the right odds is unbiased (2010.06192, techniques.md §6.1). The random bits come
from a generator seeded by the step counter, so a resumed run rounds the same way. Parameters are
updated in flat buckets, so a step costs a handful of kernels per bucket, not per tensor.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from trainer.rng import stream_seed

BUCKET = 1 << 24


def round_stochastic(value: Tensor, generator: torch.Generator) -> Tensor:
    """fp32 -> bf16, up or down with probability equal to the distance (unbiased)."""
    bits = value.view(torch.int32)
    noise = torch.randint(
        0, 1 << 16, bits.shape, dtype=torch.int32, device=bits.device, generator=generator
    )
    return ((bits + noise) & -65536).view(torch.float32).to(torch.bfloat16)


class AdamWBF16(Optimizer):
    """State per parameter: `exp_avg` and `exp_avg_sq`, in the dtype of the weights."""

    def __init__(
        self,
        params: Iterable[Any],
        lr: float,
        betas: tuple[float, float],
        eps: float,
        weight_decay: float,
    ) -> None:
        defaults = {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay, "step": 0}
        super().__init__(params, defaults)

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        for index, group in enumerate(self.param_groups):
            params = [p for p in group["params"] if p.grad is not None]
            if params:
                self._step_group(index, group, params)

    def _step_group(self, index: int, group: dict[str, Any], params: list[Tensor]) -> None:
        group["step"] += 1
        for p in params:
            if not self.state[p]:
                self.state[p]["exp_avg"] = torch.zeros_like(p)
                self.state[p]["exp_avg_sq"] = torch.zeros_like(p)
        generator = torch.Generator(params[0].device)
        generator.manual_seed(stream_seed(0, index, group["step"], "stochastic-rounding"))
        for bucket in buckets(params):
            self._step_bucket(group, bucket, generator)

    def _step_bucket(
        self, group: dict[str, Any], params: list[Tensor], generator: torch.Generator
    ) -> None:
        first = [self.state[p]["exp_avg"] for p in params]
        second = [self.state[p]["exp_avg_sq"] for p in params]
        weights, grads = _flat(params), _flat([p.grad for p in params])  # type: ignore[misc]
        m, v = _flat(first), _flat(second)
        beta1, beta2 = group["betas"]
        m.lerp_(grads, 1.0 - beta1)
        v.mul_(beta2).addcmul_(grads, grads, value=1.0 - beta2)
        m_hat = m / (1.0 - beta1 ** group["step"])
        v_hat = v / (1.0 - beta2 ** group["step"])
        weights.mul_(1.0 - group["lr"] * group["weight_decay"])
        weights.addcdiv_(m_hat, v_hat.sqrt_().add_(group["eps"]), value=-group["lr"])
        for flat, targets in ((weights, params), (m, first), (v, second)):
            _scatter(flat, targets, generator)


def buckets(params: list[Tensor]) -> list[list[Tensor]]:
    """Consecutive parameters of at most BUCKET values together (a larger one stands alone).

    The fp32 copies of one bucket are all the extra memory a step needs.
    """
    made: list[list[Tensor]] = [[]]
    filled = 0
    for p in params:
        if made[-1] and filled + p.numel() > BUCKET:
            made.append([])
            filled = 0
        made[-1].append(p)
        filled += p.numel()
    return made


def _flat(tensors: list[Tensor]) -> Tensor:
    """One fp32 vector of all values, in order."""
    return torch.cat([t.reshape(-1) for t in tensors]).float()


def _scatter(flat: Tensor, targets: list[Tensor], generator: torch.Generator) -> None:
    low = targets[0].dtype == torch.bfloat16
    values = round_stochastic(flat, generator) if low else flat
    pieces = values.split([t.numel() for t in targets])
    torch._foreach_copy_(targets, [p.view_as(t) for p, t in zip(pieces, targets, strict=True)])


def build(groups: list[dict[str, Any]], lr: float, args: dict[str, Any]) -> Optimizer:
    return AdamWBF16(
        groups,
        lr=lr,
        betas=tuple(args["betas"]),
        eps=args["eps"],
        weight_decay=args["weight_decay"],
    )
