"""Read an adapter file of any layout without a model.

Nothing is dropped in silence: a tensor whose name means nothing, or two things, is a finding, and
verbs that write refuse such files.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from torch import Tensor

from trainer.adapters.io import read_file
from trainer.adapters.keys.table import Rows
from trainer.adapters.layouts import dora_scale
from trainer.adapters.plain import METADATA_KEY
from trainer.adapters.tools import fuse
from trainer.adapters.tools.guess import Layer, guess
from trainer.adapters.tools.header import FUSED, alpha_of, without_notes
from trainer.adapters.tools.keys import MAGNITUDE, Key, parse
from trainer.adapters.tools.naming import Named, resolve
from trainer.adapters.tools.problems import unknown_keys
from trainer.adapters.tools.record import DENOISER, DORA, DOWN, Adapter, Part
from trainer.catalog import family_facts
from trainer.errors import DataError
from trainer.findings import Finding, finding

_LEGACY = (".lora.down.", ".lora.up.", "_lora.down.", "_lora.up.", ".lora_linear_layer.")


@dataclass(slots=True)
class _Layer:
    """Tensors of one layer of the file, before its name is understood."""

    key: Key
    first: str
    tensors: dict[str, Tensor] = field(default_factory=dict)

    @property
    def inputs(self) -> int:
        down = self.tensors.get(DOWN)
        return down.shape[1] if down is not None and down.ndim > 1 else 0


def load(path: Path, family: str | None = None) -> tuple[Adapter, list[Finding]]:
    """The adapter and what in the file could not be understood."""
    tensors, metadata = read_file(path)
    return take(tensors, metadata, where=str(path), family=family)


def load_whole(path: Path, family: str | None = None) -> Adapter:
    """For verbs that write: everything must be understood."""
    adapter, findings = load(path, family)
    broken = [part for part in adapter.parts if part.missing]
    findings += [incomplete(str(path), part) for part in broken]
    if errors := [f for f in findings if f.level == "error"]:
        raise DataError(errors[0], *errors[1:])
    return adapter


def incomplete(where: str, part: Part) -> Finding:
    return finding(
        "LOR023",
        f"{part.name} is incomplete: {', '.join(part.missing)} missing",
        where=where,
        why="the tensors of a layer mean nothing without their other half",
        fix="get the file again, or leave the layer out with stune lora prune",
    )


def take(
    tensors: Mapping[str, Tensor],
    metadata: Mapping[str, str],
    *,
    where: str,
    family: str | None = None,
) -> tuple[Adapter, list[Finding]]:
    """The same of tensors in memory."""
    layers, strange = _grouped(tensors)
    denoiser = [Layer(found.key, found.inputs) for found in layers if _of_denoiser(found)]
    families = (family,) if family else guess(denoiser, metadata)
    findings: list[Finding] = []
    parts: dict[tuple[str, str], Part] = {}
    via: set[str] = set()
    notes = json.loads(metadata.get(FUSED, "{}"))
    for found in layers:
        meanings = resolve(found.key, families)
        if len(meanings) != 1:
            if meanings:
                findings.append(_ambiguous(where, found, meanings))
            strange += [] if meanings else [found.first]
            continue
        via |= {meanings[0].table} if _of_denoiser(found) else set()
        for part in _parts(found, meanings[0], notes, metadata):
            if parts.setdefault((part.component, part.module), part) is not part:
                findings.append(_twice(where, part, found.first))
    if strange:
        findings.insert(0, unknown_keys(where, strange, "it would have no effect, or another one"))
    if not layers:
        findings.append(_nothing(where))
    layout = _layout([found.key for found in layers], tensors, via, families)
    header = without_notes(metadata)
    return Adapter(tuple(parts.values()), header, layout, families), findings


def _of_denoiser(found: _Layer) -> bool:
    return found.key.component == DENOISER


def _grouped(tensors: Mapping[str, Tensor]) -> tuple[list[_Layer], list[str]]:
    found: dict[tuple[str, str, bool], _Layer] = {}
    strange = []
    for name, tensor in tensors.items():
        key = parse(name)
        if key is None:
            strange.append(name)
            continue
        layer = found.setdefault((key.component, key.layer, key.flat), _Layer(key, name))
        if key.tensor == MAGNITUDE:
            layer.tensors[DORA] = dora_scale(tensor)
        else:
            layer.tensors[key.tensor] = tensor
    return list(found.values()), strange


def _parts(
    found: _Layer, named: Named, notes: Mapping[str, Any], metadata: Mapping[str, str]
) -> list[Part]:
    held = dict(found.tensors)
    alpha = held.pop("alpha", None)
    if alpha is None and METADATA_KEY in metadata and DOWN in held:
        alpha = alpha_of(metadata, found.key.prefix.rstrip("."), named.ours[0])
    part = Part(found.key.component, named.ours[0], held, alpha)
    match named.rows:
        case Rows.SAME:
            return [part]
        case Rows.SWAPPED:
            return [fuse.swapped(part)]
        case _:
            note = notes.get(named.theirs)
            blocks = None if note is None else [(int(r), a) for r, a in note]
            whole = replace(part, module=named.theirs)
            return fuse.split(whole, named.ours, named.rows, blocks)


def _layout(
    keys: Sequence[Key], names: Mapping[str, Tensor], via: set[str], families: Sequence[str]
) -> str:
    """Of the denoiser's part, or of the whole where there is none."""
    about = [key for key in keys if key.component == DENOISER] or list(keys)
    prefixes = {key.prefix for key in about}
    if "lycoris_" in prefixes:
        return "lycoris"
    if any(key.flat for key in about):
        unet = bool(families) and family_facts(families[0]).denoiser_slot == "unet"
        return "original" if unet and "original" in via else "kohya"
    if "original" in via:
        return "original"
    if any(mark in name for name in names for mark in _LEGACY):
        return "diffusers-legacy"
    beside = any(name.endswith((".alpha", f".{DORA}")) for name in names)
    if beside or any("diffusion_model." in prefix for prefix in prefixes):
        return "comfyui"
    return "diffusers"


def _ambiguous(where: str, found: _Layer, meanings: Sequence[Named]) -> Finding:
    may = " or ".join(sorted({"+".join(named.ours) for named in meanings})[:3])
    return finding(
        "LOR021",
        f"{found.first} may mean {may}",
        where=where,
        why="behind underscores the two cannot be told apart",
        fix="name the family with --family, or use a file with dots in its names",
    )


def _twice(where: str, part: Part, key: str) -> Finding:
    return finding(
        "LOR021",
        f"{part.name} is in the file twice, the second time as {key}",
        where=where,
        why="only one of them could act",
        fix="take one of them out",
    )


def _nothing(where: str) -> Finding:
    return finding(
        "LOR003",
        "the file holds no adapter that is known here",
        where=where,
        fix="name a file with LoRA or LyCORIS weights, not a whole model",
    )
