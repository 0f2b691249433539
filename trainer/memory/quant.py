"""Store the linear layers of a frozen network in fewer bits (techniques.md §5.4).

Only layers inside the repeated blocks are touched: what comes before and after them (patch and
time embeddings, the last projection) is small and sensitive, and so are norms and modulation.
Layer after layer is converted, so no second copy of the network ever exists. A quantised layer
computes in the network's own dtype: autocast, which would widen to another one inside the
packages' kernels, ends at its door.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

from trainer.errors import ConfigError
from trainer.findings import finding
from trainer.memory.quant_backends import converter
from trainer.memory.resident import weight_bytes

log = logging.getLogger(__name__)

MODULATION = re.compile(r"(^|\.)(\w*norm\w*|\w*modulation\w*|ada\w*|time_emb_proj|(\w+_)?mod)\.")
SENSITIVE = re.compile(r"(^|\.)(\w*embed\w*|caption_projection|router|gate)(\.|$)")
IN_BLOCK = re.compile(r"(^|\.)\d+\.")


@dataclass(frozen=True, slots=True, kw_only=True)
class QuantPlan:
    """What is asked for one network; `where` is the key path that asked."""

    name: str
    via: Literal["accelerator", "cpu"] = "accelerator"
    modulation: bool = False
    keep: tuple[str, ...] = ()
    where: str = "compute.quant.base"

    @property
    def result(self) -> tuple[object, ...]:
        """All of it that changes what the network computes."""
        return (self.where, self.name, self.modulation, self.keep)


@dataclass(frozen=True, slots=True)
class Quantised:
    """Layers that were converted, and the bytes of the whole network before and after."""

    layers: int
    bytes_before: int
    bytes_after: int


def quantise(module: nn.Module, plan: QuantPlan, *, device: torch.device) -> Quantised:
    """Convert the layers of `module` that `plan` covers, in place; freezing and the move of the
    rest to `device` are the caller's."""
    names = chosen_layers(module, plan)
    convert = converter(plan.name, plan.where)
    before = weight_bytes(module)
    for name in names:
        parent, _, last = name.rpartition(".")
        linear: Any = module.get_submodule(name)
        if plan.via == "accelerator":
            linear.to(device)
        dtype = linear.weight.dtype
        made = convert(linear).requires_grad_(False)
        made.forward = _InDtype(made.forward, dtype)  # type: ignore[method-assign]
        setattr(module.get_submodule(parent), last, made)
    done = Quantised(len(names), before, weight_bytes(module))
    log.info(
        "%s: %d layers of %s, %.1f MiB instead of %.1f",
        *(plan.name, done.layers, type(module).__name__),
        *(done.bytes_after / 2**20, done.bytes_before / 2**20),
    )
    return done


class _InDtype:
    """The forward of a quantised layer, in the dtype that its kernel takes."""

    def __init__(self, forward: Callable[[Tensor], Tensor], dtype: torch.dtype) -> None:
        self.forward = forward
        self.dtype = dtype

    def __call__(self, x: Tensor) -> Tensor:
        with torch.autocast(x.device.type, enabled=False):
            return self.forward(x.to(self.dtype))


def chosen_layers(module: nn.Module, plan: QuantPlan) -> list[str]:
    """Names of the linear layers to convert; a key that chooses nothing is a finding."""
    inside = [n for n, m in module.named_modules() if type(m) is nn.Linear and IN_BLOCK.search(n)]
    own = getattr(module, "_keep_in_fp32_modules", None) or ()
    chosen = [n for n in inside if not SENSITIVE.search(n) and not set(n.split(".")) & set(own)]
    modulating = [n for n in chosen if MODULATION.search(f"{n}.")]
    if plan.modulation and not modulating:
        raise _idle("compute.quant.modulation", f"{type(module).__name__} has no such layers")
    if not plan.modulation:
        chosen = [n for n in chosen if n not in set(modulating)]
    for ending in plan.keep:
        if not any(_ends(n, ending) for n in chosen):
            raise _idle("compute.quant.keep", f"no quantised layer ends in {ending}")
    chosen = [n for n in chosen if not any(_ends(n, ending) for ending in plan.keep)]
    if not chosen:
        raise _idle(plan.where, f"{type(module).__name__} has no linear layer to quantise")
    return chosen


def _ends(name: str, ending: str) -> bool:
    return name == ending or name.endswith(f".{ending}")


def _idle(where: str, message: str) -> ConfigError:
    return ConfigError(
        finding(
            "CFG285", message, where=where, why="it would have no effect", fix=f"remove {where}"
        )
    )
