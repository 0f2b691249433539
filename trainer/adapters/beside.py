"""Another adapter file on the model for a while, beside what is trained or in its place.

It acts through hooks on the layers' results, so it neither needs the names and slots of PEFT nor
changes any weight: the trained adapter, or a model trained in full, is the same afterwards. Files
of every layout that is written here are read: LoRA and DoRA as diffusers or ComfyUI have them, and
all LyCORIS algorithms.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import nn

from trainer.adapters.lycoris import files
from trainer.adapters.lycoris.algorithms import ALGORITHMS, recognised
from trainer.adapters.lycoris.change import Change, Switch
from trainer.adapters.lycoris.layer import Layer, adaptable
from trainer.adapters.lycoris.start import layers_of
from trainer.errors import DataError
from trainer.findings import finding


@contextmanager
def beside(denoiser: nn.Module, path: Path, strength: float) -> Iterator[None]:
    """Within the block the adapter of the file acts `strength` times as well."""
    handles = [change.attach(outer) for outer, change in changes(denoiser, path, strength)]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def changes(denoiser: nn.Module, path: Path, strength: float) -> list[tuple[nn.Module, Change]]:
    """What the file does, with the modules whose results it is added to."""
    switch = Switch(strength)
    places = outer_layers(denoiser)
    found = layers_of(path, places)
    out = []
    for module, held in found.items():
        if module not in places:
            raise files.unknown(path, module)
        outer, layer = places[module]
        out.append((outer, _change(path, layer, dict(held), switch)))
    return out


def outer_layers(denoiser: nn.Module) -> dict[str, tuple[nn.Module, Layer]]:
    """Adaptable layers by their own names, each with the outermost module that stands for it.

    PEFT puts a module of the same name around a layer and calls the layer itself `base_layer`.
    """
    modules = dict(denoiser.named_modules())
    out = {}
    for name, module in modules.items():
        own = name.removesuffix(".base_layer")
        if adaptable(module) and ".lora_" not in name:
            out[own] = (modules[own], Layer(own, module))
    return out


def _change(path: Path, layer: Layer, held: files.Tensors, switch: Switch) -> Change:
    algo = recognised(held)
    if algo is None:
        raise DataError(
            finding(
                "LOR003",
                f"{path.name}: no known kind of adapter has the tensors "
                f"{', '.join(sorted(held))} of {layer.name}",
                where=str(path),
                fix="name a LoRA, or a LyCORIS adapter of a kind that is trained here",
            )
        )
    algorithm = ALGORITHMS[algo]
    held.pop("on_input", None)
    alpha = held.pop("alpha", None)
    ranked = any(name in held for name, _ in algorithm.inner)
    device = layer.module.weight.device
    return Change(
        layer=layer,
        algorithm=algorithm,
        tensors={name: tensor.to(device, torch.float32) for name, tensor in held.items()},
        scale=float(alpha) / algorithm.rank(held) if ranked and alpha is not None else 1.0,
        constraint=float(alpha) if algo in ("diag-oft", "boft") and alpha is not None else None,
        switch=switch,
    )
