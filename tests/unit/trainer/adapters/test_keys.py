"""Names in adapter files: frozen lists, and names that each program's loader maps.

The lists in tests/golden/adapters are what the widest preset of a family writes for the tiny model.
They change only when a file layout changes on purpose:

    python -m tests.unit.trainer.adapters.test_keys
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from tests.support.families import (
    IN_COMFYUI,
    KINDS,
    kind_of,
    layouts_of,
    make_tiny,
    tiny_config,
    tiny_family,
)
from trainer import catalog
from trainer.adapters.build import build_trainable
from trainer.adapters.io import read_adapter
from trainer.adapters.layouts import detect

GOLDEN = Path(__file__).parents[3] / "golden" / "adapters"
FILES = [(kind, layout) for kind in KINDS for layout in layouts_of(kind)]


def saved(kind: str, model: Path, folder: Path, preset: str):
    """Files of a filled adapter, its modules, and the family."""
    family = tiny_family(kind, model, "denoiser")
    adapter = {"rank": 4, "alpha": 2.0, "preset": preset}
    lora = build_trainable(tiny_config(kind, model, adapter=adapter), family, torch.float32)
    generator = torch.Generator().manual_seed(1)
    for parameter in lora.parameters().values():
        parameter.data.normal_(0.0, 0.1, generator=generator)
    return {file.layout: file for file in lora.save(folder, step=1)}, lora


def golden_lines(path: Path) -> list[str]:
    return [f"{k} {list(v.shape)}" for k, v in sorted(load_file(path).items())]


@pytest.mark.conformance("keys")
@pytest.mark.parametrize(("kind", "layout"), FILES)
def test_golden_keys(kind, layout, tiny_model, tmp_path):
    """Every name and shape of a file is frozen: people's tools know them by these names."""
    files, _ = saved(kind, tiny_model(kind), tmp_path, kind_of(kind).widest)
    expected = (GOLDEN / f"{kind}-{layout}.txt").read_text().splitlines()
    assert golden_lines(files[layout].path) == expected


@pytest.mark.conformance("keys")
@pytest.mark.parametrize("kind", IN_COMFYUI)
def test_comfyui_maps_every_name(kind, tiny_model, tmp_path):
    """Each trained module is one that ComfyUI maps, under the name by which it looks it up."""
    files, lora = saved(kind, tiny_model(kind), tmp_path, kind_of(kind).widest)
    facts = catalog.family_facts(kind)
    looked_up = set()
    for module in lora.tensors().modules:
        assert kind_of(kind).comfyui.fullmatch(module), module
        if facts.denoiser_slot == "unet":
            stem = "lora_unet_" + module.replace(".", "_")
            names = ("lora_down.weight", "lora_up.weight", "alpha")
        else:
            name = kind_of(kind).comfyui_name(module)
            stem = f"{facts.comfyui_prefix or 'transformer'}.{name}"
            names = ("lora_A.weight", "lora_B.weight", "alpha")
        looked_up |= {f"{stem}.{name}" for name in names}
    assert set(load_file(files["comfyui"].path)) == looked_up


@pytest.mark.conformance("lora")
@pytest.mark.parametrize("kind", KINDS)
def test_every_preset_saves_verified_files(kind, tiny_model, tmp_path):
    """Each target preset, convolutions among them, loads again in diffusers with equal output."""
    for preset in catalog.family_facts(kind).lora_targets:
        if preset in kind_of(kind).absent_presets:
            continue
        files, lora = saved(kind, tiny_model(kind), tmp_path / preset, preset)
        for file in files.values():
            assert file.verified, (preset, file.findings)
            facts = catalog.family_facts(kind)
            back = read_adapter(file.path, lora.tensors().modules, facts)
            assert all(torch.equal(back.tensors[k], v) for k, v in lora.tensors().tensors.items())


def test_layout_is_recognised():
    """Each layout is told from its keys alone."""
    assert detect(["lora_unet_x.lora_down.weight"]) == "kohya-unet"
    assert detect(["transformer.x.lora_A.weight", "transformer.x.alpha"]) == "comfyui"
    assert detect(["diffusion_model.x.lora_A.weight"]) == "comfyui"
    assert detect(["unet.x.lora_A.weight"]) == "diffusers"


def write_golden() -> None:
    with tempfile.TemporaryDirectory() as name:
        for kind in KINDS:
            model = make_tiny(kind, Path(name) / kind)
            files, _ = saved(kind, model, Path(name) / f"{kind}-out", kind_of(kind).widest)
            for layout, file in files.items():
                path = GOLDEN / f"{kind}-{layout}.txt"
                path.write_text("\n".join(golden_lines(file.path)) + "\n")


if __name__ == "__main__":
    write_golden()
