"""Adapters with values as if they had been trained, and what a model makes of them."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

from tests.support.families import (
    diffusers_pipeline,
    kind_of,
    random_latents,
    some_times,
    tiny_config,
    tiny_family,
    told,
)
from trainer.adapters.build import build_trainable

CAPTIONS = ["a red apple", "a blue car"]


def trained(kind: str, path: Path, *, seed: int = 3, **adapter: Any) -> tuple[Any, Any]:
    """A family whose adapter has values as if it had been trained."""
    family = tiny_family(kind, path, "text", "vae", "denoiser")
    config = tiny_config(kind, path, adapter={"rank": 4} | adapter)
    lora = build_trainable(config, family, torch.float32)
    generator = torch.Generator().manual_seed(seed)
    for parameter in lora.parameters().values():
        parameter.data.normal_(0.0, 0.2, generator=generator)
    return family, lora


def output(family: Any) -> torch.Tensor:
    family.denoiser.eval()
    text = family.collate_text(family.encode_text(CAPTIONS))
    with torch.no_grad():
        return family.forward(random_latents(family), some_times(family), told(text))


def without_alpha(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """A ComfyUI file of a transformer as ComfyUI adds it up, alpha / rank times up times down,
    under the names of diffusers."""
    out = {}
    for key, tensor in tensors.items():
        stem = key.removesuffix(".lora_B.weight")
        if not key.endswith(".alpha"):
            scale = tensors[f"{stem}.alpha"] / tensor.shape[1] if stem != key else 1.0
            out[key.replace("diffusion_model.", "transformer.", 1)] = tensor * scale
    return out


def load_by_hand(module: torch.nn.Module, path: Path, comfyui_name: Callable[[str], str]) -> None:
    """As a user of a pipeline without `load_lora_weights` does: by PEFT alone. Names of ComfyUI
    are first put back."""
    import json

    from peft import LoraConfig, inject_adapter_in_model, set_peft_model_state_dict
    from safetensors import safe_open

    ours = {comfyui_name(name): name for name, _ in module.named_modules()}
    tensors = {}
    with safe_open(path, "pt") as file:
        packed = json.loads((file.metadata() or {}).get("lora_adapter_metadata", "{}"))
        for key in file.keys():  # noqa: SIM118
            stem, ending = re.fullmatch(
                r"(?:transformer|prior|diffusion_model)\.(.+?)\.(lora_[AB]\.weight|alpha)", key
            ).groups()  # type: ignore[union-attr]
            tensors[f"{ours.get(stem, stem)}.{ending}"] = file.get_tensor(key)
    config = {k.partition(".")[2]: v for k, v in packed.items()}
    alphas = {k: float(v) for k, v in tensors.items() if k.endswith(".alpha")}
    if not config:
        modules = [k.removesuffix(".alpha") for k in alphas]
        rank = tensors[f"{modules[0]}.lora_A.weight"].shape[0]
        config = {"r": rank, "lora_alpha": next(iter(alphas.values())), "target_modules": modules}
    inject_adapter_in_model(LoraConfig(**config), module)
    values = {k: v for k, v in tensors.items() if k not in alphas}
    assert not set_peft_model_state_dict(module, values).unexpected_keys


def pipeline_output(kind: str, path: Path, folder: Path, name: str) -> torch.Tensor:
    """Output of a fresh model after the diffusers pipeline class loaded the file."""
    family = tiny_family(kind, path, "text", "vae", "denoiser")
    pipe = diffusers_pipeline(kind, path)
    if not hasattr(pipe, "load_lora_weights"):
        module = getattr(pipe, family.facts.denoiser_slot)
        load_by_hand(module, folder / name, kind_of(kind).comfyui_name)
    elif family.facts.diffusers_reads_alpha or "comfyui" not in name:
        pipe.load_lora_weights(folder, weight_name=name)
    else:
        added = without_alpha(load_file(folder / name))
        pipe.load_lora_weights(dict(kind_of(kind).unfused(added)))
    family.modules["denoiser"] = getattr(pipe, family.facts.denoiser_slot)
    return output(family)
