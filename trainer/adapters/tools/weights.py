"""The weights of a base model, by layer: a diffusers folder, one of its components, or one file.

A folder has diffusers' names. A single file may have those of the original model, bare or behind
`model.diffusion_model.`; which ones is seen from how many of them the family's tables know.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from trainer.adapters.keys.names import diffusers_names, families, original_names
from trainer.adapters.keys.table import Match
from trainer.adapters.tools.record import DENOISER
from trainer.adapters.tools.stream import Stored, header
from trainer.catalog import family_facts
from trainer.errors import DataError
from trainer.findings import finding

WEIGHT = ".weight"
PREFIXES = ("model.diffusion_model.", "diffusion_model.", "")


@dataclass(frozen=True, slots=True)
class Weights:
    """Tensors of one component by their names without prefix."""

    place: Path
    component: str
    tensors: dict[str, Stored]
    keys: dict[str, str]  # the name in its file
    original: bool = False

    @property
    def files(self) -> list[Path]:
        return list(dict.fromkeys(stored.file for stored in self.tensors.values()))


def open_weights(place: Path, family: str, component: str = DENOISER) -> Weights:
    """Of a component; for a file only the denoiser is known."""
    if place.is_dir():
        folder = _component_folder(place, family, component)
        held: dict[str, Stored] = {}
        for file in sorted(folder.glob("*.safetensors")):
            if ".fp16." not in file.name and ".non_ema." not in file.name:
                held |= header(file)[0]
        if not held:
            raise misfit(folder, "it holds no .safetensors weights")
        return Weights(folder, component, held, {name: name for name in held})
    if component != DENOISER:
        raise misfit(place, f"a single file is read as the denoiser only, not as {component}")
    if not place.exists():
        raise misfit(place, "it does not exist")
    return _single(place, family)


def _component_folder(place: Path, family: str, component: str) -> Path:
    slot = family_facts(family).denoiser_slot if component == DENOISER else component
    if (place / slot).is_dir():
        return place / slot
    if component == DENOISER and any(place.glob("*.safetensors")):
        return place
    raise misfit(place, f"it has no folder {slot}")


def _single(place: Path, family: str) -> Weights:
    held, _ = header(place)
    prefix = next(p for p in PREFIXES if any(name.startswith(p) for name in held))
    tensors = {n[len(prefix) :]: t for n, t in held.items() if n.startswith(prefix)}
    keys = {n[len(prefix) :]: n for n in held if n.startswith(prefix)}
    layers = [name.removesuffix(WEIGHT) for name in tensors if name.endswith(WEIGHT)]
    ours = sum(bool(diffusers_names(family).read(name)) for name in layers)
    table = original_names(family)
    theirs = sum(bool(table.read(name)) for name in layers) if table is not None else 0
    if not ours and not theirs:
        raise misfit(place, f"its names are not those of a {family} model")
    return Weights(place, DENOISER, tensors, keys, original=theirs > ours)


def meaning(weights: Weights, family: str, layer: str) -> Match | None:
    """What diffusers calls a layer of these weights."""
    table = original_names(family) if weights.original else diffusers_names(family)
    found = table.read(layer) if table is not None else []
    return found[0] if len(found) == 1 else None


def family_of(place: Path) -> str | None:
    """From a pipeline's `model_index.json`, when just one family has such a pipeline."""
    index = place / "model_index.json"
    if not index.exists():
        return None
    try:
        name = json.loads(index.read_text()).get("_class_name")
    except (ValueError, AttributeError):
        return None
    found = [f for f in families() if family_facts(f).pipeline_class.rpartition(".")[2] == name]
    return found[0] if len(found) == 1 else None


def misfit(place: Path, why: str) -> DataError:
    return DataError(
        finding(
            "LOR032",
            f"{place}: {why}",
            where=str(place),
            fix="name a diffusers folder, or a .safetensors file of the family's model",
        )
    )
