"""Changes without a product: every weight (full), or one factor for each output (IA3)."""

from __future__ import annotations

import torch
from torch import Tensor

from trainer.adapters.lycoris.change import Algorithm, Change, Dense, Form
from trainer.adapters.lycoris.layer import Layer


def start_full(layer: Layer, form: Form) -> dict[str, Tensor]:
    """The difference to the frozen weight, which needs no second copy of it."""
    tensors = {"diff": torch.zeros(layer.shape)}
    if layer.module.bias is not None:
        tensors["diff_b"] = torch.zeros(layer.shape[0])
    return tensors


def dense_full(change: Change) -> Dense:
    bias = change.tensors.get("diff_b")
    return change["diff"].float(), None if bias is None else bias.float()


def start_ia3(layer: Layer, form: Form) -> dict[str, Tensor]:
    outputs, _, *kernel = layer.shape
    shape = (1, outputs, *(1 for _ in kernel)) if kernel else (outputs,)
    return {"weight": torch.zeros(shape)}


def dense_ia3(change: Change) -> Dense:
    layer = change.layer
    return layer.weight * layer.per_output(change["weight"].float()), None


FULL = Algorithm(start=start_full, dense=dense_full)
IA3 = Algorithm(start=start_ia3, dense=dense_ia3)
