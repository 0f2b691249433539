"""Write and read adapter files.

The Diffusers file is written by diffusers' own pipeline class, so that it is by construction what
`load_lora_weights` expects; alpha and rank travel in its metadata. Where the class has no such
methods, `plain.py` writes the same layout.
"""

from __future__ import annotations

import json
import re
import struct
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from trainer.adapters.layouts import AdapterTensors, to_comfyui
from trainer.adapters.native import by_family, to_native
from trainer.adapters.plain import METADATA_KEY
from trainer.adapters.plain import write as write_plain
from trainer.catalog import load_class
from trainer.catalog.facts import FamilyFacts
from trainer.config.schema.adapter import AdapterConfig, Layout
from trainer.errors import DataError
from trainer.findings import finding
from trainer.runs.files import write_atomic

DIFFUSERS_NAME = "pytorch_lora_weights"


def write_diffusers(
    folder: Path,
    facts: FamilyFacts,
    adapter: AdapterTensors,
    peft_config: Mapping[str, Any],
    suffix: str,
) -> Path:
    pipeline = load_class(facts.pipeline_class)
    path = folder / f"{DIFFUSERS_NAME}{suffix}.safetensors"
    slot = facts.denoiser_slot
    if not hasattr(pipeline, "save_lora_weights"):
        write_plain(path, slot, adapter, peft_config)
        order_header(path)
        return path
    pipeline.save_lora_weights(
        str(folder),
        weight_name=path.name,
        **{
            f"{slot}_lora_layers": adapter.tensors,
            f"{slot}_lora_adapter_metadata": dict(peft_config),
        },
    )
    order_header(path)
    return path


def write_comfyui(
    folder: Path,
    facts: FamilyFacts,
    adapter: AdapterTensors,
    metadata: Mapping[str, str],
    name: str,
) -> Path:
    """One file with alpha beside every pair; its name shows up in the user's list of adapters."""
    path = folder / f"{name}.safetensors"
    if facts.comfyui_native is not None:
        adapter = to_native(adapter, facts.comfyui_native)
    named = to_comfyui(adapter, facts.comfyui_prefix or facts.denoiser_slot, facts.comfyui_names)
    tensors = {key: tensor.contiguous() for key, tensor in named.items()}
    save_file(tensors, path, metadata=dict(metadata))
    order_header(path)
    return path


def header_notes(
    facts: FamilyFacts, title: str, step: int, *, kind: str = "lora"
) -> dict[str, str]:
    """What other programs show of a file (sai_model_spec 1.0.0); no date, so equal runs agree."""
    return {
        "format": "pt",
        "modelspec.sai_model_spec": "1.0.0",
        "modelspec.architecture": f"{facts.architecture}/{kind}",
        "modelspec.implementation": "diffusers",
        "modelspec.title": title,
        "modelspec.resolution": f"{facts.default_resolution}x{facts.default_resolution}",
        "family": facts.key,
        "step": str(step),
    }


def layouts(config: AdapterConfig, facts: FamilyFacts) -> list[Layout]:
    """What is written, where the configuration leaves it open: all that a program loads."""
    asked: list[Layout] = config.formats or ["diffusers", "comfyui"]
    return [layout for layout in asked if layout in facts.layouts]


def file_stem(title: str, facts: FamilyFacts) -> str:
    """A file name from the job's name, or the family's."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", title).strip("-.") or facts.key


def order_header(path: Path) -> None:
    """Rewrite the header with sorted metadata: equal adapters give equal files.

    The safetensors library writes metadata in the order of a randomised hash table.
    """
    blob = path.read_bytes()
    (length,) = struct.unpack("<Q", blob[:8])
    header = json.loads(blob[8 : 8 + length])
    metadata = dict(sorted(header.pop("__metadata__", {}).items()))
    text = json.dumps({"__metadata__": metadata, **header}, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    write_atomic(path, struct.pack("<Q", len(text)) + text + blob[8 + length :])


def read_file(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Tensors and metadata of a safetensors file."""
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
            return tensors, dict(file.metadata() or {})
    except (OSError, SafetensorError) as error:
        raise DataError(
            finding(
                "LOR003",
                f"cannot read the adapter {path}: {error}",
                where=str(path),
                fix="name a .safetensors file with LoRA weights",
            )
        ) from error


def read_adapter(
    path: Path, modules: Iterable[str], facts: FamilyFacts | None = None
) -> AdapterTensors:
    """An adapter file of any known layout; by `facts` also those with names that are not
    diffusers' own."""
    tensors, metadata = read_file(path)
    names = list(modules)
    return by_family(tensors, names, _metadata_alphas(metadata, names), facts)


def _metadata_alphas(metadata: Mapping[str, str], modules: Iterable[str]) -> dict[str, float]:
    """Alpha of each module as the Diffusers metadata tells it: a default and exceptions."""
    if METADATA_KEY not in metadata:
        return {}
    packed = json.loads(metadata[METADATA_KEY])
    plain = {k.partition(".")[2]: v for k, v in packed.items()}
    alpha = plain.get("lora_alpha")
    if alpha is None:
        return {}
    special = plain.get("alpha_pattern") or {}
    return {m: float(_exception(special, m, alpha)) for m in modules}


def _exception(patterns: Mapping[str, float], module: str, default: float) -> float:
    """PEFT's rule: a pattern matches the end of a module name, at a dot."""
    for pattern, value in patterns.items():
        if re.match(rf"(.*\.)?({pattern})$", module):
            return value
    return default


def check_fit(path: Path, given: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> None:
    """Raise when an adapter file does not have exactly the tensors of this adapter."""
    missing, unknown = wanted.keys() - given.keys(), given.keys() - wanted.keys()
    shapes = [n for n in wanted.keys() & given.keys() if wanted[n].shape != given[n].shape]
    if missing or unknown or shapes:
        first = min([*missing, *unknown, *shapes])
        raise DataError(
            finding(
                "LOR004",
                f"the adapter does not fit: {len(missing)} tensors missing, {len(unknown)} "
                f"unknown, {len(shapes)} of other shape, first {first}",
                where=str(path),
                fix="use the same rank, targets and kind as the file was made with",
            )
        )
