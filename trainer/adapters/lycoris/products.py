"""Changes as products of matrices: LoHa (element by element) and LoKr (Kronecker)."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from trainer.adapters.lycoris.change import Algorithm, Change, Dense, Form, as_computed
from trainer.adapters.lycoris.layer import Layer
from trainer.adapters.lycoris.lowrank import kaiming

# --- LoHa ------------------------------------------------------------------------------------


def start_loha(layer: Layer, form: Form) -> dict[str, Tensor]:
    outputs, inputs, *kernel = layer.shape
    width = inputs * math.prod(kernel)
    return {
        "hada_w1_a": torch.randn(outputs, form.rank) * 0.1,
        "hada_w1_b": torch.randn(form.rank, width),
        "hada_w2_a": torch.zeros(outputs, form.rank),
        "hada_w2_b": torch.randn(form.rank, width),
    }


def dense_loha(change: Change) -> Dense:
    first = change["hada_w1_a"].float() @ change["hada_w1_b"].float()
    second = change["hada_w2_a"].float() @ change["hada_w2_b"].float()
    return (first * second).view(change.layer.shape) * change.scale, None


LOHA = Algorithm(
    start=start_loha,
    dense=dense_loha,
    inner=(("hada_w1_b", 0),),
    carriers=("hada_w1_a",),
)


# --- LoKr: W1 (x) W2, either of them maybe of low rank --------------------------------------------


def start_lokr(layer: Layer, form: Form) -> dict[str, Tensor]:
    """The library's rules for what is split; W2, or its second half, starts at zero."""
    from lycoris.functional import factorization

    outputs, inputs, *kernel = layer.shape
    small_out, large_out = factorization(outputs, form.factor)
    small_in, large_in = factorization(inputs, form.factor)
    tensors: dict[str, Tensor] = {}
    split_small = form.decompose_both and form.rank < max(small_out, small_in) / 2
    if split_small and not form.full_matrix:
        tensors["lokr_w1_a"] = kaiming(small_out, form.rank)
        tensors["lokr_w1_b"] = kaiming(form.rank, small_in)
    else:
        tensors["lokr_w1"] = kaiming(small_out, small_in)
    if form.full_matrix or form.rank >= max(large_out, large_in) / 2:
        tensors["lokr_w2"] = torch.zeros(large_out, large_in, *kernel)
    else:
        tensors["lokr_w2_a"] = kaiming(large_out, form.rank)
        tensors["lokr_w2_b"] = torch.zeros(form.rank, large_in * math.prod(kernel))
    if form.init_norm is not None:
        tensors |= _like_base(layer, tensors, form.init_norm)
    return tensors


def _like_base(layer: Layer, tensors: dict[str, Tensor], share: float) -> dict[str, Tensor]:
    """W1 all ones and W2 noise with the mean and spread of the base weight, times `share`."""
    weight = layer.weight.cpu()
    noise = torch.randn_like(tensors["lokr_w2"]) * weight.std() + weight.mean()
    return {"lokr_w1": torch.ones_like(tensors["lokr_w1"]), "lokr_w2": noise * share}


def small(change: Change) -> Tensor:
    if "lokr_w1" in change.tensors:
        return change["lokr_w1"]
    return change["lokr_w1_a"] @ change["lokr_w1_b"]


def dense_lokr(change: Change) -> Dense:
    first = small(change).float()
    outputs, inputs, *kernel = change.layer.shape
    shape = (outputs // first.shape[0], inputs // first.shape[1], *kernel)
    if "lokr_w2" in change.tensors:
        second = change["lokr_w2"].float()
    else:
        second = (change["lokr_w2_a"].float() @ change["lokr_w2_b"].float()).view(shape)
    for _ in kernel:
        first = first.unsqueeze(-1)
    return torch.kron(first, second.contiguous()) * change.scale, None


def short_lokr(change: Change, x: Tensor) -> Tensor:
    """First the large factor on each group of inputs, then the small one across the groups."""
    first = small(change)
    groups = as_computed(x, first).unflatten(-1, (first.shape[1], -1))
    if "lokr_w2" in change.tensors:
        inside = F.linear(groups, change["lokr_w2"])
    else:
        inside = F.linear(F.linear(groups, change["lokr_w2_b"]), change["lokr_w2_a"])
    across = F.linear(inside.transpose(-1, -2), first).transpose(-1, -2)
    return across.flatten(-2) * change.scale


LOKR = Algorithm(
    start=start_lokr,
    dense=dense_lokr,
    short=short_lokr,
    inner=(("lokr_w1_b", 0), ("lokr_w2_b", 0)),
    carriers=("lokr_w1", "lokr_w1_a"),
)
