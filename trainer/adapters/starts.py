"""Ways to start a low-rank pair: from the base weight's main parts, or as an orthogonal pair.

PiSSA (2404.02948) and OLoRA (2406.01775) begin with the main part of the base weight instead of
nothing. The usual way then takes that part out of the base weight, which rounds it and leaves no
base model to go back to. Here the base stays as it is, and `prior.py` subtracts the pair that the
adapter started from. The orthogonal start is a pair whose product is zero.
"""

from __future__ import annotations

import torch
from torch import Tensor

Pair = tuple[Tensor, Tensor]  # down [rank, inputs], up [outputs, rank], fp32

WITH_PRIOR = ("pissa", "olora")


def has_prior(init: str) -> bool:
    """Whether the adapter starts as a part of the base weight, which is to be subtracted."""
    return init.startswith(WITH_PRIOR)


def pair(init: str, weight: Tensor, rank: int, scale: float) -> Pair:
    """The first pair of one layer; `weight` is [outputs, inputs], the adapter acts with `scale`."""
    if init == "orthogonal":
        return orthogonal(weight, rank)
    if init == "olora":
        return olora(weight, rank)
    _, _, iterations = init.partition("_niter_")
    return pissa(weight, rank, scale, int(iterations) if iterations else None)


def pissa(weight: Tensor, rank: int, scale: float, iterations: int | None) -> Pair:
    """Largest singular directions, their values shared between both matrices."""
    if iterations is None:
        left, values, right = torch.linalg.svd(weight.float(), full_matrices=False)
    else:
        left, values, down = torch.svd_lowrank(weight.float(), rank, niter=iterations)
        right = down.t()
    root = (values[:rank] / scale).sqrt()
    return root[:, None] * right[:rank], left[:, :rank] * root


def olora(weight: Tensor, rank: int) -> Pair:
    """First columns of the QR decomposition."""
    left, right = torch.linalg.qr(weight.float())
    return right[:rank].contiguous(), left[:, :rank].contiguous()


def orthogonal(weight: Tensor, rank: int) -> Pair:
    """Random pair through the two halves of an orthogonal basis: its product is zero."""
    outputs, inputs = weight.shape
    basis, _ = torch.linalg.qr(torch.randn(rank, rank))
    down = basis[: rank // 2].t() @ torch.randn(rank // 2, inputs) / 10.0
    up = torch.randn(outputs, rank // 2) @ basis[rank // 2 :] / 10.0
    return down, up
