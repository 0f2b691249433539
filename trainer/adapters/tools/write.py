"""Write an adapter in a layout.

* diffusers: `transformer.<layer>.lora_A.weight`, alpha in the header. LoRA and DoRA only.
* comfyui: the same with alpha beside and ComfyUI's names; for UNets the kohya layout.
* kohya: `lora_unet_<original name>`; for UNets diffusers' names, as kohya's own scripts have them.
* original: the names of the vendor's model, with fused projections.
* lycoris: `lycoris_<diffusers name>`, every algorithm.

What a layout cannot express is refused by name.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from safetensors.torch import save_file
from torch import Tensor

from trainer.adapters.io import order_header
from trainer.adapters.keys.names import original_names
from trainer.adapters.keys.table import Match, Rows
from trainer.adapters.layouts import MAGNITUDE, dora_scale, renamed
from trainer.adapters.tools import fuse
from trainer.adapters.tools.header import FUSED, alpha_note, beside_alphas, peft_note
from trainer.adapters.tools.problems import inexpressible
from trainer.adapters.tools.record import DENOISER, DORA, DOWN, MID, UP, Adapter, Part
from trainer.catalog import family_facts
from trainer.catalog.facts import FamilyFacts
from trainer.runs.files import write_atomic

LAYOUTS = ("diffusers", "comfyui", "kohya", "original", "lycoris")
_PEFT = {DOWN: "lora_A.weight", UP: "lora_B.weight"}
MLP_RATIO = 4  # outputs of Flux's MLP over its inputs, in the fused `linear1`

Named = tuple[dict[str, Tensor], dict[str, str]]


def save(path: Path, adapter: Adapter, layout: str, family: str) -> None:
    """The file appears whole or not at all; equal adapters give equal bytes."""
    tensors, metadata = named(adapter, layout, family)
    staged = path.with_name(f".{path.name}.part")
    try:
        save_file(_apart(tensors), staged, metadata=metadata)
        order_header(staged)
        write_atomic(path, staged.read_bytes())
    finally:
        staged.unlink(missing_ok=True)


def _apart(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """safetensors refuses tensors that share their memory, as halves of one matrix do."""
    seen: set[int] = set()
    out = {}
    for name, tensor in tensors.items():
        held = tensor.contiguous()
        storage = held.untyped_storage().data_ptr()
        out[name] = held.clone() if storage in seen else held
        seen.add(storage)
    return out


def named(adapter: Adapter, layout: str, family: str) -> Named:
    """Tensors by their keys in the file, and its header."""
    facts = family_facts(family)
    metadata = {"format": "pt"} | dict(adapter.metadata)
    unet = facts.denoiser_slot == "unet"
    if layout == "diffusers":
        return _diffusers(adapter, facts, metadata)
    metadata = beside_alphas(metadata)
    if layout == "lycoris":
        return _flat(adapter.parts, facts, "lycoris_"), metadata
    if unet and layout in ("comfyui", "kohya"):
        return _flat(adapter.parts, facts, "lora_unet_"), metadata
    if layout == "comfyui":
        return _comfyui(adapter, facts), metadata
    parts, notes = original_parts(adapter, family)
    if notes:
        metadata[FUSED] = json.dumps(notes, sort_keys=True)
    if layout == "kohya" or unet:
        return _flat(parts, facts, "lora_unet_"), metadata
    return _dotted(parts, facts, "diffusion_model"), metadata


def _diffusers(adapter: Adapter, facts: FamilyFacts, metadata: dict[str, str]) -> Named:
    tensors: dict[str, Tensor] = {}
    components: dict[str, list[Part]] = {}
    for part in adapter.parts:
        if part.algo != "lora" or part.tensors.keys() - {DOWN, UP, DORA}:
            kind = "a Tucker core" if part.algo == "lora" else f"the algorithm {part.algo}"
            raise inexpressible(part.name, f"PEFT has no tensors for {kind}")
        component = facts.denoiser_slot if part.component == DENOISER else part.component
        components.setdefault(component, []).append(part)
        stem = f"{component}.{part.module}"
        tensors |= {f"{stem}.{ending}": part.tensors[name] for name, ending in _PEFT.items()}
        if DORA in part.tensors:
            if part.tensors[DORA].shape[0] != part.tensors[UP].shape[0]:
                raise inexpressible(part.name, "its DoRA lengths are of inputs, PEFT's of outputs")
            tensors[stem + MAGNITUDE] = dora_scale(part.tensors[DORA])
    return tensors, metadata | alpha_note(adapter.parts) | peft_note(metadata, components)


def _comfyui(adapter: Adapter, facts: FamilyFacts) -> dict[str, Tensor]:
    prefix = facts.comfyui_prefix or facts.denoiser_slot
    parts = [
        replace(part, module=renamed(f"{prefix}.{part.module}", facts.comfyui_names))
        if part.component == DENOISER
        else part
        for part in adapter.parts
    ]
    return _dotted(parts, facts, "")


def _dotted(parts: Iterable[Part], facts: FamilyFacts, prefix: str) -> dict[str, Tensor]:
    out: dict[str, Tensor] = {}
    for part in parts:
        if part.component != DENOISER:
            out |= _flat([part], facts, "")
            continue
        stem = f"{prefix}.{part.module}" if prefix else part.module
        # a Tucker core is read only beside the other names of the pair
        names = {} if MID in part.tensors else _PEFT
        out |= {f"{stem}.{names.get(name, name)}": t for name, t in part.tensors.items()}
        out |= {} if part.alpha is None else {f"{stem}.alpha": part.alpha}
    return out


def _flat(parts: Iterable[Part], facts: FamilyFacts, prefix: str) -> dict[str, Tensor]:
    out: dict[str, Tensor] = {}
    for part in parts:
        start = prefix if part.component == DENOISER else _text_prefix(part.component, facts)
        stem = start + part.module.replace(".", "_")
        out |= {f"{stem}.{name}": t for name, t in part.tensors.items()}
        out |= {} if part.alpha is None else {f"{stem}.alpha": part.alpha}
    return out


def _text_prefix(component: str, facts: FamilyFacts) -> str:
    """`lora_te_` for the only text encoder, `lora_te1_` … for several."""
    if len(facts.text_encoders) == 1:
        return "lora_te_"
    number = component.removeprefix("text_encoder").lstrip("_") or "1"
    return f"lora_te{number}_"


def original_parts(adapter: Adapter, family: str) -> tuple[list[Part], dict[str, fuse.Note]]:
    """Parts under the names of the original model, and the ranks of fused ones."""
    table = original_names(family)
    if table is None:
        raise inexpressible("the adapter", f"the original names of {family} are not known here")
    found: list[Part] = []
    fused: dict[str, Match] = {}
    for part in adapter.parts:
        match = table.write(part.module) if part.component == DENOISER else None
        if part.component != DENOISER:
            found.append(part)
        elif match is None:
            raise inexpressible(part.name, "the original model has no such layer")
        elif len(match.ours) > 1:
            fused[match.theirs] = match
        else:
            moved = fuse.swapped(part) if match.rows == Rows.SWAPPED else part
            found.append(replace(moved, module=match.theirs))
    notes: dict[str, fuse.Note] = {}
    held = adapter.by_name()
    for match in fused.values():
        parts = [held.get((DENOISER, name)) for name in match.ours]
        whole, note = fuse.fuse(match.theirs, match.rows, parts, _sizes(match, parts))
        found.append(whole)
        if note is not None and not _restored(whole, match, parts):
            notes[match.theirs] = note
    return found, notes


def _sizes(match: Match, parts: Sequence[Part | None]) -> list[int]:
    """Numbers of outputs, also of layers that are not adapted."""
    given = [part for part in parts if part is not None]
    if any(part.algo != "lora" for part in given):
        return [0] * len(parts)
    if match.rows == Rows.EQUAL:
        return [fuse.outputs(given[0])] * len(parts)
    width = fuse.inputs(given[0])
    return [width] * (len(parts) - 1) + [MLP_RATIO * width]


def _restored(whole: Part, match: Match, parts: Sequence[Part | None]) -> bool:
    """Whether taking it apart without a note gives the same parts."""
    if any(part is None for part in parts):
        return False
    again = fuse.split(whole, match.ours, match.rows, None)
    return len(again) == len(parts) and all(
        one.rank == part.rank
        and all(one.tensors[n].equal(part.tensors[n]) for n in part.tensors)
        and (one.alpha is None) == (part.alpha is None)
        and (one.alpha is None or part.alpha is None or float(one.alpha) == float(part.alpha))
        for one, part in zip(again, parts, strict=True)
        if part is not None
    )
