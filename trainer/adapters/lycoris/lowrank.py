"""Changes through thin matrices: LoRA (LoCon), DyLoRA, GLoRA."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from trainer.adapters.lycoris.change import Algorithm, Change, Dense, Form, as_computed
from trainer.adapters.lycoris.layer import Layer

DOWN, UP = "lora_down", "lora_up"


def kaiming(*shape: int) -> Tensor:
    """Uniform within one over the root of the inputs, as torch's own linear layers start."""
    bound = 1.0 / math.sqrt(math.prod(shape[1:]))
    return torch.empty(shape).uniform_(-bound, bound)


def product(x: Tensor, down: Tensor, up: Tensor, scale: float) -> Tensor:
    """Through the thin middle: the change of the weight is never made."""
    middle = F.linear(as_computed(x, down), down)
    return F.linear(middle if scale == 1.0 else middle * scale, up)


def whole(layer: Layer, down: Tensor, up: Tensor, scale: float) -> Tensor:
    weight = up.float().flatten(1) @ down.float().flatten(1)
    return weight.view(layer.shape) * scale


# --- LoRA ------------------------------------------------------------------------------------


def start_lora(layer: Layer, form: Form) -> dict[str, Tensor]:
    outputs, inputs, *kernel = layer.shape
    return {
        f"{DOWN}.weight": kaiming(form.rank, inputs, *kernel),
        f"{UP}.weight": torch.zeros(outputs, form.rank, *(1 for _ in kernel)),
    }


LORA = Algorithm(
    start=start_lora,
    dense=lambda c: (whole(c.layer, c[f"{DOWN}.weight"], c[f"{UP}.weight"], c.scale), None),
    short=lambda c, x: product(x, c[f"{DOWN}.weight"], c[f"{UP}.weight"], c.scale),
    inner=((f"{DOWN}.weight", 0),),
    carriers=(f"{UP}.weight",),
)


# --- DyLoRA: blocks of ranks; a step uses the first few and trains the last of these ------------


def start_dylora(layer: Layer, form: Form) -> dict[str, Tensor]:
    """The blocks are parameters of their own, so that those at rest get no update at all."""
    pair = start_lora(layer, form)
    return split_blocks(pair, form.rank // form.block_size)


def split_blocks(pair: dict[str, Tensor], count: int) -> dict[str, Tensor]:
    downs = pair[f"{DOWN}.weight"].chunk(count)
    ups = pair[f"{UP}.weight"].chunk(count, dim=1)
    found = {f"{DOWN}.{n}": t.clone() for n, t in enumerate(downs)}
    return found | {f"{UP}.{n}": t.clone() for n, t in enumerate(ups)}


def blocks(tensors: dict[str, Tensor]) -> int:
    return sum(name.startswith(f"{DOWN}.") for name in tensors)


def joined(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """All blocks as one LoRA, which is how the file has them."""
    count = range(blocks(tensors))
    return {
        f"{DOWN}.weight": torch.cat([tensors[f"{DOWN}.{n}"] for n in count]),
        f"{UP}.weight": torch.cat([tensors[f"{UP}.{n}"] for n in count], dim=1),
    }


def in_use(change: Change) -> tuple[Tensor, Tensor, float]:
    """The pair of this step: alpha over the ranks in use stays the scale, as if cut off there."""
    count = blocks(change.tensors)
    part = change.switch.part if change.layer.module.training else None
    last = count - 1 if part is None else min(int(part * count), count - 1)
    rest = part is not None
    downs = [change[f"{DOWN}.{n}"] for n in range(last + 1)]
    ups = [change[f"{UP}.{n}"] for n in range(last + 1)]
    if rest:
        downs[:-1] = [t.detach() for t in downs[:-1]]
        ups[:-1] = [t.detach() for t in ups[:-1]]
    return torch.cat(downs), torch.cat(ups, dim=1), change.scale * count / (last + 1)


DYLORA = Algorithm(
    start=start_dylora,
    dense=lambda c: (whole(c.layer, *in_use(c)), None),
    short=lambda c, x: product(x, *in_use(c)),
)


# --- GLoRA: W A + B, both of low rank -----------------------------------------------------------


def start_glora(layer: Layer, form: Form) -> dict[str, Tensor]:
    outputs, inputs, *kernel = layer.shape
    ones = [1 for _ in kernel]
    return {
        "a1.weight": kaiming(inputs, form.rank, *ones),
        "a2.weight": torch.zeros(form.rank, inputs, *ones),
        "b1.weight": kaiming(outputs, form.rank, *ones),
        "b2.weight": torch.zeros(form.rank, inputs, *kernel),
    }


def dense_glora(change: Change) -> Dense:
    a1, a2 = (change[f"{n}.weight"].float().flatten(1) for n in ("a1", "a2"))
    through = torch.einsum("oi...,ij->oj...", change.layer.weight, a1 @ a2)
    beside = whole(change.layer, change["b2.weight"], change["b1.weight"], 1.0)
    return (through + beside) * change.scale, None


def short_glora(change: Change, x: Tensor) -> Tensor:
    """One pair of twice the rank: `[W A1, B1]` and `[A2; B2]`."""
    a1, a2, b1, b2 = (change[f"{n}.weight"] for n in ("a1", "a2", "b1", "b2"))
    with torch.autocast(x.device.type, enabled=False):
        through = (change.layer.weight @ a1.float()).to(a1.dtype)
    return product(x, torch.cat([a2, b2]), torch.cat([through, b1], 1), change.scale)


GLORA = Algorithm(
    start=start_glora,
    dense=dense_glora,
    short=short_glora,
    inner=(("a2.weight", 0),),
    carriers=("a1.weight", "b1.weight"),
)
