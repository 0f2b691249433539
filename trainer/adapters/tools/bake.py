"""An adapter added into base weights, for good: a model that needs no adapter any more.

Weights are read, changed in fp32 and written one at a time, in the dtype they had. Everything else
of a diffusers folder is copied. Every algorithm can be baked, since the base weight is at hand. The
target appears whole or not at all.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from trainer.adapters.lycoris.algorithms import ALGORITHMS
from trainer.adapters.lycoris.change import Change
from trainer.adapters.lycoris.layer import Layer
from trainer.adapters.tools.output import claim, one_family
from trainer.adapters.tools.problems import inexpressible
from trainer.adapters.tools.read import load_whole
from trainer.adapters.tools.record import DENOISER, DORA, DOWN, MID, UP, Adapter, Part
from trainer.adapters.tools.stream import rewrite
from trainer.adapters.tools.weights import WEIGHT, Weights, misfit, open_weights
from trainer.adapters.tools.write import original_parts
from trainer.errors import DataError

Edit = Callable[[Tensor], Tensor]


def bake(
    file: Path,
    base: Path,
    out: Path,
    *,
    strength: float = 1.0,
    family: str | None = None,
    force: bool = False,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> dict[str, Any]:
    adapter = load_whole(file, family)
    certain = one_family(file, adapter)
    claim(out, force=force, suffix=None if base.is_dir() else base.suffix)
    by_file: dict[Path, dict[str, Edit]] = {}
    for component in dict.fromkeys(part.component for part in adapter.parts):
        weights = open_weights(base, certain, component)
        for key, (path, edit) in _edits(adapter, weights, certain, strength).items():
            by_file.setdefault(path, {})[key] = edit
    staged = out.with_name(f".{out.name}.part")
    _clear(staged)
    try:
        if base.is_dir():
            shutil.copytree(base, staged, ignore=_ignore(by_file))
        for done, (path, edits) in enumerate(by_file.items()):
            on_progress(done, len(by_file))
            target = staged / path.relative_to(base) if base.is_dir() else staged
            rewrite(path, target, edits)
        _clear(out)
        os.replace(staged, out)
    finally:
        _clear(staged)
    changed = sum(len(edits) for edits in by_file.values())
    return {"file": str(out), "family": certain, "layers": len(adapter.parts), "tensors": changed}


def _ignore(by_file: Mapping[Path, object]) -> Callable[[str, list[str]], list[str]]:
    return lambda folder, names: [name for name in names if Path(folder) / name in by_file]


def _clear(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _edits(
    adapter: Adapter, weights: Weights, family: str, strength: float
) -> dict[str, tuple[Path, Edit]]:
    """What happens to each tensor; refused before anything is written when one is missing."""
    mine = [part for part in adapter.parts if part.component == weights.component]
    if weights.original and weights.component == DENOISER:
        mine, _ = original_parts(replace(adapter, parts=tuple(mine)), family)
    found: dict[str, tuple[Path, Edit]] = {}
    for part in mine:
        for ending, edit in _of_part(part, strength).items():
            name = part.module + ending
            if name not in weights.tensors:
                raise misfit(weights.place, f"it has no {name}, which the adapter changes")
            found[weights.keys[name]] = (weights.tensors[name].file, edit)
    return found


def _of_part(part: Part, strength: float) -> dict[str, Edit]:
    edits: dict[str, Edit] = {WEIGHT: lambda weight: changed(part, weight, strength)}
    if "diff_b" in part.tensors:
        moved = part.tensors["diff_b"].float() * strength
        edits[".bias"] = lambda bias: bias.float() + moved
    return edits


def changed(part: Part, weight: Tensor, strength: float = 1.0) -> Tensor:
    """The base weight with the change of this layer in it."""
    if part.algo not in ALGORITHMS or {MID, "hada_t1", "lokr_t2"} & part.tensors.keys():
        raise inexpressible(part.name, "Tucker cores are not read")
    if (pair := _plain(part)) is not None:
        return _added(part, weight, *pair, part.scale * strength)
    layer = Layer(part.name, _module(weight))
    turning = part.algo in ("diag-oft", "boft")
    change = Change(
        layer=layer,
        algorithm=ALGORITHMS[part.algo],
        tensors={name: t.float() for name, t in part.tensors.items()},
        scale=part.scale,
        constraint=float(part.alpha) if turning and part.alpha is not None else None,
    )
    try:
        moved, _ = change.weight()
        moved = moved.view(weight.shape)
    except RuntimeError as error:
        raise _unfit(part, weight) from error
    if DORA in part.tensors:
        ratio = layer.per_output(change._ratio())
        moved = ratio * (layer.weight + moved) - layer.weight
    return layer.weight + moved * strength


def _plain(part: Part) -> tuple[Tensor, Tensor] | None:
    """Up and down of a LoRA without DoRA."""
    if part.algo != "lora" or DORA in part.tensors:
        return None
    return part.tensors[UP].float().flatten(1), part.tensors[DOWN].float().flatten(1)


def _added(part: Part, weight: Tensor, up: Tensor, down: Tensor, scale: float) -> Tensor:
    """In one step, so that the change alone is never in memory."""
    if up.shape[1] != len(down) or (len(up), down.shape[1]) != weight.flatten(1).shape:
        raise _unfit(part, weight)
    return torch.addmm(weight.float().flatten(1), up, down, alpha=scale).view(weight.shape)


def _unfit(part: Part, weight: Tensor) -> DataError:
    why = f"its weight has the shape {tuple(weight.shape)}, which does not fit the adapter"
    return misfit(Path(part.name), why)


def _module(weight: Tensor) -> nn.Module:
    """A layer around the weight, without memory of its own."""
    outputs, inputs, *kernel = weight.shape
    kinds = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}
    with torch.device("meta"):
        if kernel:
            module = kinds[len(kernel)](inputs, outputs, tuple(kernel), bias=False)
        else:
            module = nn.Linear(inputs, outputs, bias=False)
    module.weight = nn.Parameter(weight.float(), requires_grad=False)
    return module
