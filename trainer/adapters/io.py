"""Write and read adapter files.

The Diffusers file is written by diffusers' own pipeline class, so that it is by construction what
`load_lora_weights` expects; alpha and rank travel in its metadata.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from trainer.adapters.layouts import AdapterTensors, from_file, to_comfyui
from trainer.catalog import load as load_dotted
from trainer.catalog.facts import FamilyFacts
from trainer.errors import DataError
from trainer.findings import finding
from trainer.runs.files import write_atomic

METADATA_KEY = "lora_adapter_metadata"
DIFFUSERS_NAME = "pytorch_lora_weights"


def write_diffusers(
    folder: Path,
    facts: FamilyFacts,
    adapter: AdapterTensors,
    peft_config: Mapping[str, Any],
    suffix: str,
) -> Path:
    pipeline = load_dotted(facts.pipeline_class.replace(".", ":", 1))
    path = folder / f"{DIFFUSERS_NAME}{suffix}.safetensors"
    slot = facts.denoiser_slot
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
    folder: Path, facts: FamilyFacts, adapter: AdapterTensors, metadata: dict[str, str], suffix: str
) -> Path:
    path = folder / f"comfyui{suffix}.safetensors"
    tensors = {k: t.contiguous() for k, t in to_comfyui(adapter, facts.denoiser_slot).items()}
    save_file(tensors, path, metadata=metadata)
    order_header(path)
    return path


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


def read_adapter(path: Path, modules: Iterable[str]) -> AdapterTensors:
    """An adapter file of any known layout."""
    tensors, metadata = read_file(path)
    names = list(modules)
    return from_file(tensors, names, _metadata_alphas(metadata, names))


def _metadata_alphas(metadata: Mapping[str, str], modules: Iterable[str]) -> dict[str, float]:
    """Alpha of each module as the Diffusers metadata tells it (default plus pattern)."""
    if METADATA_KEY not in metadata:
        return {}
    packed = json.loads(metadata[METADATA_KEY])
    plain = {k.partition(".")[2]: v for k, v in packed.items()}
    alpha = plain.get("lora_alpha")
    return {} if alpha is None else {m: float(alpha) for m in modules}
