"""Size and shape of the change that a part makes, from its thin factors.

The change is `scale * up @ down`. With `up = Q R` and `down' = P S` its singular values are those
of `R S'`, a matrix as small as the rank, so nothing of the layer's size is ever made. Computed in
fp64: what is compared here differs by little.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from trainer.adapters.tools.record import DOWN, MID, UP, Part


@dataclass(frozen=True, slots=True)
class Pair:
    """`up @ down`, with the scale inside, in fp64: [outputs, rank] and [rank, inputs]."""

    up: Tensor
    down: Tensor


def pair_of(part: Part) -> Pair | None:
    """None where the part is no plain pair."""
    if part.algo != "lora" or part.missing or MID in part.tensors:
        return None
    up = part.tensors[UP].double().flatten(1) * part.scale
    down = part.tensors[DOWN].double().flatten(1)
    return Pair(up, down) if up.shape[1] == len(down) else None


def joined(pairs: Sequence[Pair], weights: Sequence[float]) -> Pair:
    """The weighted sum of changes, as one pair of the sum of the ranks."""
    ups = [pair.up * weight for pair, weight in zip(pairs, weights, strict=True)]
    return Pair(torch.cat(ups, dim=1), torch.cat([pair.down for pair in pairs]))


def thin_svd(pair: Pair) -> tuple[Tensor, Tensor, Tensor]:
    """Singular vectors and values of the change: [outputs, n], [n], [n, inputs]."""
    left, upper = torch.linalg.qr(pair.up)
    right, lower = torch.linalg.qr(pair.down.T)
    u, values, v = torch.linalg.svd(upper @ lower.T, full_matrices=False)
    return left @ u, values, v @ right.T


def values(pair: Pair) -> Tensor:
    """Singular values only."""
    upper = torch.linalg.qr(pair.up, mode="r").R
    lower = torch.linalg.qr(pair.down.T, mode="r").R
    return torch.linalg.svdvals(upper @ lower.T)


def norm(part: Part) -> float | None:
    """Frobenius norm of the change; None where it depends on the base weight, or is not finite."""
    if part.missing or not all(bool(t.isfinite().all()) for t in part.tensors.values()):
        return None
    held = {name: t.double() for name, t in part.tensors.items()}
    if (pair := pair_of(part)) is not None:
        return float(values(pair).norm())
    match part.algo:
        case "full":
            return float(held["diff"].norm())
        case "loha" if "hada_t1" not in held:
            first = held["hada_w1_a"] @ held["hada_w1_b"]
            second = held["hada_w2_a"] @ held["hada_w2_b"]
            return float((first * second).norm()) * abs(part.scale)
        case "lokr" if "lokr_t2" not in held:
            return _kron(held, "lokr_w1") * _kron(held, "lokr_w2") * abs(part.scale)
    return None


def _kron(held: dict[str, Tensor], name: str) -> float:
    if name in held:
        return float(held[name].norm())
    return float((held[f"{name}_a"] @ held[f"{name}_b"].flatten(1)).norm())


def rebuilt(part: Part, u: Tensor, s: Tensor, v: Tensor) -> Part:
    """A part of these directions in place of a pair, with the scale, dtype and shapes it had."""
    rank = len(s)
    down, up = part.tensors[DOWN], part.tensors[UP]
    share = (s / abs(part.scale or 1.0)).sqrt()
    sign = -1.0 if part.scale < 0 else 1.0
    tensors = dict(part.tensors)
    tensors[UP] = (u * share * sign).to(up.dtype).view(up.shape[0], rank, *up.shape[2:])
    tensors[DOWN] = (share[:, None] * v).to(down.dtype).view(rank, *down.shape[1:])
    alpha = None if part.alpha is None else torch.full_like(part.alpha, part.scale * rank)
    return Part(part.component, part.module, tensors, alpha)
