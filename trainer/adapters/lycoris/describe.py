"""The settings of an adapter in the words of the LyCORIS library, for the header of its file.

`create_lycoris(model, **settings)` after `apply_preset` makes the same tensors from them. Layers
that differ from the rest by name are listed one by one.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any

from trainer.adapters.lycoris.change import Form
from trainer.adapters.lycoris.place import Place
from trainer.config.schema.adapter import AdapterConfig


def library_config(config: AdapterConfig, places: Sequence[Place]) -> dict[str, Any]:
    """One table: the most frequent form as the general one, and every layer by its name."""
    forms = [place.form for place in places]
    usual = max(set(forms), key=lambda form: (forms.count(form), str(form)))
    table = _general(usual, {form.algo for form in forms}) | {"multiplier": 1.0}
    by_name = {
        f"^{re.escape(p.layer.name)}$": _differences(p.form, usual)
        for p in places
        if p.form != usual
    }
    return table | {
        "apply_preset": {
            "target_module": [],
            "target_name": [f"^{re.escape(p.layer.name)}$" for p in places if p.form == usual],
            "name_algo_map": by_name,
            "enable_conv": True,
        }
    }


def _general(usual: Form, used: set[str]) -> dict[str, Any]:
    """The general form, with what the other algorithms in use are told as well."""
    table: dict[str, Any] = {
        "algo": usual.algo,
        "linear_dim": usual.rank,
        "linear_alpha": _alpha(usual),
        "dora_wd": usual.dora,
    }
    if "lokr" in used:
        table |= {"factor": usual.factor, "full_matrix": usual.full_matrix}
        table |= {"decompose_both": usual.decompose_both}
    if "dylora" in used:
        table |= {"block_size": usual.block_size}
    if used & {"diag-oft", "boft"}:
        table |= {"constraint": usual.constraint or 0.0, "rescaled": usual.rescaled}
    return table


def _alpha(form: Form) -> float:
    """The library's function takes no rs_lora, so its effect goes into alpha."""
    return form.alpha * math.sqrt(form.rank) if form.rslora else form.alpha


def _differences(form: Form, usual: Form) -> dict[str, Any]:
    """What the library reads for single layers, in its words for them."""
    table, general = _single(form), _single(usual)
    return {k: v for k, v in table.items() if k == "algo" or v != general[k]}


def _single(form: Form) -> dict[str, Any]:
    table = {"algo": form.algo, "dim": form.rank, "alpha": _alpha(form), "factor": form.factor}
    return table | {"weight_decompose": form.dora}
