"""Adapter files of families whose diffusers pipeline neither saves nor loads adapters.

The layout is diffusers' own all the same (families.md §7): `<component>.<module>.lora_A.weight`,
with rank and alpha in the metadata. Such a file loads through the denoiser: by its
`load_lora_adapter`, or by PEFT's `inject_adapter_in_model` and `set_peft_model_state_dict`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors.torch import load_file, save_file

from trainer.adapters.layouts import AdapterTensors, detect, to_diffusers
from trainer.adapters.native import by_family
from trainer.catalog.facts import FamilyFacts

METADATA_KEY = "lora_adapter_metadata"


def write(
    path: Path, component: str, adapter: AdapterTensors, peft_config: Mapping[str, Any]
) -> None:
    """The file that `save_lora_weights` would write if the pipeline had it."""
    packed = {f"{component}.{key}": value for key, value in peft_config.items()}
    tensors = {key: t.contiguous() for key, t in to_diffusers(adapter, component).items()}
    text = json.dumps(packed, indent=2, sort_keys=True)
    save_file(tensors, path, metadata={"format": "pt", METADATA_KEY: text})


def load_into(denoiser: Any, facts: FamilyFacts, path: Path, name: str) -> None:
    """Load a file of either layout as adapter `name`, by diffusers' own reader."""
    tensors, component = load_file(path), facts.denoiser_slot
    if detect(tensors) == "diffusers":
        denoiser.load_lora_adapter(
            str(path.parent), prefix=component, weight_name=path.name, adapter_name=name
        )
        return
    # diffusers has no reader for alpha beside the pairs, nor for ComfyUI's names
    modules = [module for module, _ in denoiser.named_modules()]
    adapter = by_family(tensors, modules, {}, facts)
    denoiser.load_lora_adapter(
        to_diffusers(adapter, component),
        prefix=component,
        network_alphas={f"{component}.{m}.alpha": a for m, a in adapter.alphas.items()},
        adapter_name=name,
    )
