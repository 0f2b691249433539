"""Names of adapter tensors in the file layouts people load (families.md §7).

Canonical names are PEFT's without prefix: `<module>.lora_A.weight` and `.lora_B.weight`, with one
alpha per module kept beside them. Layouts:

* diffusers: `<component>.<module>.lora_A.weight`; alpha in the metadata.
* comfyui for transformers whose diffusers names ComfyUI knows: the same plus `<…>.alpha` tensors.
  Where it calls some modules otherwise, a table of the family turns parts of their names.
* comfyui for UNets: `lora_unet_<module_with_underscores>.lora_down.weight`, `.lora_up`, `.alpha`.

Converting never drops a tensor: an unknown key is an error that names it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from trainer.errors import DataError
from trainer.findings import finding

KOHYA_UNET = "lora_unet_"
DOWN, UP = ".lora_A.weight", ".lora_B.weight"
PREFIXES = ("transformer.", "unet.", "prior.", "diffusion_model.", "base_model.model.")
Renames = Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class AdapterTensors:
    """An adapter apart from any layout: tensors by canonical name, alpha by module."""

    tensors: dict[str, Tensor]
    alphas: dict[str, float]

    @property
    def modules(self) -> list[str]:
        return [name.removesuffix(DOWN) for name in self.tensors if name.endswith(DOWN)]

    def rank(self, module: str) -> int:
        return self.tensors[module + DOWN].shape[0]


def to_diffusers(adapter: AdapterTensors, component: str) -> dict[str, Tensor]:
    return {f"{component}.{name}": t for name, t in adapter.tensors.items()}


def to_comfyui(adapter: AdapterTensors, component: str, renames: Renames = ()) -> dict[str, Tensor]:
    if component == "unet":
        return _to_kohya(adapter)
    named = to_diffusers(adapter, component)
    alphas = {
        f"{component}.{module}.alpha": torch.tensor(alpha)
        for module, alpha in adapter.alphas.items()
    }
    return {renamed(key, renames): tensor for key, tensor in (named | alphas).items()}


def renamed(name: str, renames: Renames) -> str:
    """A name as ComfyUI has it, where its own model calls its parts otherwise than diffusers'."""
    for ours, theirs in renames:
        name = name.replace(ours, theirs)
    return name


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
    return out


def detect(keys: Iterable[str]) -> str:
    """Layout of a file from its keys: diffusers, comfyui or kohya-unet."""
    names = list(keys)
    if any(name.startswith(KOHYA_UNET) for name in names):
        return "kohya-unet"
    if any(name.endswith(".alpha") or name.startswith("diffusion_model.") for name in names):
        return "comfyui"
    return "diffusers"


def from_file(
    tensors: Mapping[str, Tensor],
    modules: Iterable[str],
    alphas: Mapping[str, float],
    renames: Renames = (),
) -> AdapterTensors:
    """Read any of the layouts; `modules` are the model's module names, to undo underscores and
    the `renames` of its family."""
    if detect(tensors) == "kohya-unet":
        return _from_kohya(tensors, modules)
    endings = (DOWN, UP, ".alpha")
    ours = {renamed(m, renames) + e: m + e for m in modules for e in endings if renames}
    out: dict[str, Tensor] = {}
    found: dict[str, float] = {}
    for key, tensor in tensors.items():
        name = _without_prefix(key)
        name = ours.get(name, name)
        if name.endswith(".alpha"):
            found[name.removesuffix(".alpha")] = float(tensor)
        elif name.endswith((DOWN, UP)):
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


def _from_kohya(tensors: Mapping[str, Tensor], modules: Iterable[str]) -> AdapterTensors:
    flat = {KOHYA_UNET + m.replace(".", "_"): m for m in modules}
    out: dict[str, Tensor] = {}
    alphas: dict[str, float] = {}
    for key, tensor in tensors.items():
        head, _, tail = key.partition(".")
        module = flat.get(head)
        if module is None or tail not in ("lora_down.weight", "lora_up.weight", "alpha"):
            raise _unknown(key)
        if tail == "alpha":
            alphas[module] = float(tensor)
        else:
            out[module + (DOWN if "down" in tail else UP)] = tensor
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
