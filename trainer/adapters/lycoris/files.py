"""LyCORIS files: `lycoris_<module_with_underscores>.<tensor>`, alphas, settings in the header.

ComfyUI knows these names for UNets, SD3 and Flux; the LyCORIS library opens them on the diffusers
model (`create_lycoris_from_weights`). Alpha is what makes readers, who divide it by the rank that
they see, arrive at the scale of the training; of a rotation it is the constraint.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from trainer.adapters.io import order_header, read_file
from trainer.adapters.layouts import DOWN, LYCORIS, MAGNITUDE, UP, AdapterTensors, dora_scale
from trainer.adapters.lycoris import lowrank
from trainer.adapters.lycoris.algorithms import ALGORITHMS
from trainer.adapters.lycoris.change import Change
from trainer.errors import DataError
from trainer.findings import finding

Tensors = dict[str, Tensor]  # of one layer, by their names behind the module's


def flat(module: str) -> str:
    return LYCORIS + module.replace(".", "_")


def of_layer(algo: str, change: Change, values: Tensors) -> Tensors:
    """The tensors of a layer as the file has them; `values` are the trained ones."""
    out = {k: v.detach().cpu().contiguous() for k, v in values.items()}
    if algo == "dylora":
        pair = lowrank.joined(out)
        return pair | {"alpha": torch.tensor(change.scale * len(pair["lora_down.weight"]))}
    if algo == "ia3":
        return out | {"on_input": torch.tensor(0)}
    if algo in ("diag-oft", "boft"):
        return out | {"alpha": torch.tensor(change.constraint or 0.0)}
    if algo == "full":
        return out
    return out | {"alpha": torch.tensor(change.scale * ALGORITHMS[algo].rank(out))}


def write(path: Path, layers: Mapping[str, Tensors], notes: Mapping[str, str]) -> None:
    """`layers` by module name."""
    tensors = {f"{flat(m)}.{name}": t for m, held in layers.items() for name, t in held.items()}
    save_file(tensors, path, metadata=dict(notes))
    order_header(path)


def read(path: Path, modules: Iterable[str]) -> dict[str, Tensors]:
    """The tensors of each module; `modules` undo the underscores."""
    tensors, _ = read_file(path)
    return grouped(path, tensors, modules)


def grouped(
    path: Path, tensors: Mapping[str, Tensor], modules: Iterable[str]
) -> dict[str, Tensors]:
    names = {flat(module): module for module in modules}
    out: dict[str, Tensors] = {}
    for key, tensor in tensors.items():
        head, _, tail = key.partition(".")
        if head not in names:
            raise unknown(path, key)
        out.setdefault(names[head], {})[tail] = tensor
    return out


def from_lora(adapter: AdapterTensors) -> dict[str, Tensors]:
    """A LoRA of another layout under the names it has in a LyCORIS file."""
    out: dict[str, Tensors] = {}
    for module in adapter.modules:
        held = {
            "lora_down.weight": adapter.tensors[module + DOWN],
            "lora_up.weight": adapter.tensors[module + UP],
            "alpha": torch.tensor(adapter.alphas[module]),
        }
        if module + MAGNITUDE in adapter.tensors:
            held["dora_scale"] = dora_scale(adapter.tensors[module + MAGNITUDE])
        out[module] = held
    return out


def unknown(path: Path, key: str) -> DataError:
    return DataError(
        finding(
            "LOR004",
            f"the adapter file has a tensor that the model does not know: {key}",
            where=str(path),
            why="dropping it would change what the adapter does",
            fix="use an adapter that was trained for this model family and these layers",
        )
    )


def header(config: Mapping[str, Any]) -> dict[str, str]:
    return {"lycoris_config": json.dumps(config, sort_keys=True)}
