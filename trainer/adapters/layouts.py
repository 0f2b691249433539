"""Names of adapter tensors in the file layouts people load (families.md §7).

Canonical names are PEFT's without prefix: `<module>.lora_A.weight` and `.lora_B.weight`, DoRA's
`.lora_magnitude_vector`, with one alpha per module kept beside them. Layouts:

* diffusers: `<component>.<module>.lora_A.weight`; alpha in the metadata.
* comfyui for transformers whose diffusers names ComfyUI knows: the same plus `<…>.alpha` tensors.
* comfyui for UNets: `lora_unet_<module_with_underscores>.lora_down.weight`, `.lora_up`, `.alpha`.
* lycoris: the same behind `lycoris_`; its other algorithms are read by `adapters/lycoris`.

ComfyUI and LyCORIS call the magnitude `dora_scale` and keep its rows first. Converting never drops
a tensor: an unknown key is an error that names it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from trainer.errors import DataError
from trainer.findings import finding

KOHYA_UNET, LYCORIS = "lora_unet_", "lycoris_"
DOWN, UP = ".lora_A.weight", ".lora_B.weight"
MAGNITUDE, DORA_SCALE = ".lora_magnitude_vector", ".dora_scale"
PREFIXES = ("transformer.", "unet.", "diffusion_model.", "base_model.model.")


@dataclass(frozen=True, slots=True)
class AdapterTensors:
    """An adapter apart from any layout: tensors by canonical name, alpha by module."""

    tensors: dict[str, Tensor]
    alphas: dict[str, float]

    @property
    def modules(self) -> list[str]:
        return [name.removesuffix(DOWN) for name in self.tensors if name.endswith(DOWN)]

    @property
    def is_dora(self) -> bool:
        return any(name.endswith(MAGNITUDE) for name in self.tensors)

    def rank(self, module: str) -> int:
        return self.tensors[module + DOWN].shape[0]


def to_diffusers(adapter: AdapterTensors, component: str) -> dict[str, Tensor]:
    return {f"{component}.{name}": t for name, t in adapter.tensors.items()}


def to_comfyui(adapter: AdapterTensors, component: str) -> dict[str, Tensor]:
    if component == "unet":
        return _to_kohya(adapter)
    named = {
        f"{component}.{name}": t
        for name, t in adapter.tensors.items()
        if not name.endswith(MAGNITUDE)
    }
    alphas = {
        f"{component}.{module}.alpha": torch.tensor(alpha)
        for module, alpha in adapter.alphas.items()
    }
    scales = {
        f"{component}.{module}{DORA_SCALE}": dora_scale(adapter.tensors[module + MAGNITUDE])
        for module in adapter.modules
        if module + MAGNITUDE in adapter.tensors
    }
    return named | alphas | scales


def dora_scale(magnitude: Tensor) -> Tensor:
    """PEFT's magnitude, [outputs] or [1, outputs, 1, 1], with the outputs first as others have it;
    the same turns it back."""
    if magnitude.ndim == 1:
        return magnitude[:, None]
    return magnitude.flatten() if magnitude.ndim == 2 else magnitude.transpose(0, 1)


def scaled_in(adapter: AdapterTensors) -> AdapterTensors:
    """The same effect with alpha equal to the rank: what a loader without alpha has to be given."""
    tensors, alphas = dict(adapter.tensors), {}
    for module in adapter.modules:
        rank = adapter.rank(module)
        tensors[module + UP] = tensors[module + UP] * (adapter.alphas[module] / rank)
        alphas[module] = float(rank)
    return AdapterTensors(tensors, alphas)


def _to_kohya(adapter: AdapterTensors) -> dict[str, Tensor]:
    out: dict[str, Tensor] = {}
    for module in adapter.modules:
        flat = KOHYA_UNET + module.replace(".", "_")
        out[f"{flat}.lora_down.weight"] = adapter.tensors[module + DOWN]
        out[f"{flat}.lora_up.weight"] = adapter.tensors[module + UP]
        out[f"{flat}.alpha"] = torch.tensor(adapter.alphas[module])
        if module + MAGNITUDE in adapter.tensors:
            out[flat + DORA_SCALE] = dora_scale(adapter.tensors[module + MAGNITUDE])
    return out


def detect(keys: Iterable[str]) -> str:
    """Layout of a file from its keys: diffusers, comfyui, kohya-unet or lycoris."""
    names = list(keys)
    if any(name.startswith(LYCORIS) for name in names):
        return "lycoris"
    if any(name.startswith(KOHYA_UNET) for name in names):
        return "kohya-unet"
    if any(name.endswith(".alpha") or name.startswith("diffusion_model.") for name in names):
        return "comfyui"
    return "diffusers"


def from_file(
    tensors: Mapping[str, Tensor], modules: Iterable[str], alphas: Mapping[str, float]
) -> AdapterTensors:
    """Read any of the layouts; `modules` are the model's module names (to undo underscores)."""
    layout = detect(tensors)
    if layout in ("kohya-unet", "lycoris"):
        return _from_flat(tensors, modules, KOHYA_UNET if layout == "kohya-unet" else LYCORIS)
    out: dict[str, Tensor] = {}
    found: dict[str, float] = {}
    for key, tensor in tensors.items():
        name = _without_prefix(key)
        if name.endswith(".alpha"):
            found[name.removesuffix(".alpha")] = float(tensor)
        elif name.endswith(DORA_SCALE):
            out[name.removesuffix(DORA_SCALE) + MAGNITUDE] = dora_scale(tensor)
        elif name.endswith((DOWN, UP, MAGNITUDE)):
            out[name] = tensor
        else:
            raise _unknown(key)
    named = [n.removesuffix(DOWN) for n in out if n.endswith(DOWN)]
    return AdapterTensors(out, _all_alphas(out, named, dict(alphas) | found))


def _all_alphas(
    tensors: Mapping[str, Tensor], modules: Iterable[str], known: Mapping[str, float]
) -> dict[str, float]:
    """Alpha of every module; where a file is silent it is the rank, so the scale is 1."""
    return {m: known.get(m, float(tensors[m + DOWN].shape[0])) for m in modules}


def _without_prefix(key: str) -> str:
    for prefix in PREFIXES:
        if key.startswith(prefix):
            return key[len(prefix) :]
    return key


def _from_flat(
    tensors: Mapping[str, Tensor], modules: Iterable[str], prefix: str
) -> AdapterTensors:
    """Names with underscores; which module one means is found among `modules`."""
    flat = {prefix + m.replace(".", "_"): m for m in modules}
    out: dict[str, Tensor] = {}
    alphas: dict[str, float] = {}
    for key, tensor in tensors.items():
        head, _, tail = key.partition(".")
        module = flat.get(head)
        if module is None:
            raise _unknown(key)
        match tail:
            case "alpha":
                alphas[module] = float(tensor)
            case "lora_down.weight":
                out[module + DOWN] = tensor
            case "lora_up.weight":
                out[module + UP] = tensor
            case "dora_scale":
                out[module + MAGNITUDE] = dora_scale(tensor)
            case _:
                raise _unknown(key)
    named = [n.removesuffix(DOWN) for n in out if n.endswith(DOWN)]
    return AdapterTensors(out, _all_alphas(out, named, alphas))


def _unknown(key: str) -> DataError:
    return DataError(
        finding(
            "LOR004",
            f"the adapter file has a tensor that the model does not know: {key}",
            where=key,
            why="dropping it would change what the adapter does",
            fix="use an adapter that was trained for this model family",
        )
    )
