"""The table of LyCORIS algorithms: names of `adapter.lycoris.algo` and what is behind them."""

from __future__ import annotations

import math
from collections.abc import Mapping

from torch import Tensor

from trainer.adapters.lycoris import direct, lowrank, products, rotations
from trainer.adapters.lycoris.change import Algorithm, Form

ALGORITHMS: dict[str, Algorithm] = {
    "lora": lowrank.LORA,
    "loha": products.LOHA,
    "lokr": products.LOKR,
    "full": direct.FULL,
    "ia3": direct.IA3,
    "dylora": lowrank.DYLORA,
    "diag-oft": rotations.DIAG_OFT,
    "boft": rotations.BOFT,
    "glora": lowrank.GLORA,
}


def scale(form: Form, tensors: Mapping[str, Tensor]) -> float:
    """What the change is multiplied by; without a rank, and of whole factors, 1."""
    if form.algo == "dylora":
        return form.alpha / form.rank
    if not any(name in tensors for name, _ in ALGORITHMS[form.algo].inner):
        return 1.0
    return form.alpha / (math.sqrt(form.rank) if form.rslora else form.rank)


def recognised(tensors: Mapping[str, Tensor]) -> str | None:
    """The algorithm whose file has these tensors of a layer."""
    if "oft_blocks" in tensors:
        return "diag-oft" if tensors["oft_blocks"].ndim == 3 else "boft"
    marks = {
        "lora_up.weight": "lora",
        "hada_w1_a": "loha",
        "lokr_w1": "lokr",
        "lokr_w1_a": "lokr",
        "diff": "full",
        "on_input": "ia3",
        "a1.weight": "glora",
    }
    return next((algo for mark, algo in marks.items() if mark in tensors), None)
