"""An adapter file as the first values of a LyCORIS adapter."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from trainer.adapters import io
from trainer.adapters.layouts import detect
from trainer.adapters.lycoris import files, lowrank
from trainer.adapters.lycoris.algorithms import ALGORITHMS
from trainer.errors import DataError
from trainer.findings import finding

if TYPE_CHECKING:
    from trainer.adapters.lycoris.adapter import LyCORIS
    from trainer.adapters.lycoris.change import Change


def values(path: Path, adapter: LyCORIS) -> dict[str, Tensor]:
    """A value for every parameter; the file must hold the same layers in the same form."""
    found = layers_of(path, adapter.changes)
    out: dict[str, Tensor] = {}
    for place in adapter.places:
        module = place.layer.name
        held = dict(found.pop(module, {}))
        own = _own(path, place.form.algo, adapter.changes[module], held)
        out |= {f"{module}.{name}": tensor for name, tensor in own.items()}
    out |= {f"{m}.{name}": t for m, held in found.items() for name, t in held.items()}
    io.check_fit(path, out, adapter.parameters())
    return out


def layers_of(path: Path, modules: Mapping[str, object]) -> dict[str, files.Tensors]:
    """The layers of a file of any layout, under the names of LyCORIS files."""
    tensors, _ = io.read_file(path)
    if detect(tensors) == "lycoris":
        return files.grouped(path, tensors, modules)
    return files.from_lora(io.read_adapter(path, modules))


def _own(path: Path, algo: str, change: Change, held: files.Tensors) -> files.Tensors:
    """A layer's tensors as parameters, with the file's own scale in them."""
    alpha = held.pop("alpha", None)
    held.pop("on_input", None)
    if algo in ("diag-oft", "boft"):
        _same_constraint(path, change, alpha)
        return held
    ranked = "lora" if algo == "dylora" else algo
    if alpha is not None and any(name in held for name, _ in ALGORITHMS[ranked].inner):
        given = float(alpha) / ALGORITHMS[ranked].rank(held)
        if given != change.scale:
            for name in ALGORITHMS[ranked].carriers:
                if name in held:
                    held[name] = held[name] * (given / change.scale)
    if algo == "dylora" and "lora_down.weight" in held:
        return lowrank.split_blocks(held, lowrank.blocks(change.tensors))
    return held


def _same_constraint(path: Path, change: Change, alpha: Tensor | None) -> None:
    given = 0.0 if alpha is None else float(alpha)
    own = torch.tensor(change.constraint or 0.0).item()
    if given != own:
        raise DataError(
            finding(
                "LOR004",
                f"the file's rotations are limited to {given:g}, the job's to {own:g}",
                where=str(path),
                why="the same values would turn the weights by another angle",
                fix=f"set adapter.lycoris.constraint to {given:g}"
                if given
                else "leave adapter.lycoris.constraint out",
            )
        )
