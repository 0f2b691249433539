"""The model's output with an adapter in each layout, by diffusers' own loaders and by baking."""

from __future__ import annotations

import re
import shutil

import pytest
import torch

from tests.support.families import diffusers_pipeline, kind_of, tiny_family
from tests.unit.trainer.adapters.test_keys import saved
from trainer import catalog
from trainer.adapters.keys.names import original_names
from trainer.adapters.lycoris.layer import adaptable
from trainer.adapters.tools.bake import bake
from trainer.adapters.tools.convert import convert
from trainer.adapters.tools.prune import Choice, prune
from trainer.adapters.tools.record import DENOISER
from trainer.adapters.tools.write import LAYOUTS

FAMILIES = ("flux", "sdxl", "sd3", "qwen_image")
# Layouts that the loader of the family's pipeline reads by itself.
LOADED = [
    *(("flux", name) for name in ("diffusers", "comfyui", "kohya")),
    *(("sdxl", name) for name in ("diffusers", "kohya")),
    *(("qwen_image", name) for name in ("diffusers", "comfyui", "kohya")),
    ("sd3", "diffusers"),
]
PRESET = {"flux": "all+ffs", "sdxl": "attention+ffs", "sd3": "all+ffs", "qwen_image": "all+ffs"}


def source(kind, tiny_model, folder):
    """A trained adapter's file and the output with it in memory."""
    presets = catalog.family_facts(kind).lora_targets
    preset = PRESET[kind] if PRESET[kind] in presets else kind_of(kind).widest
    files, trained = saved(kind, tiny_model(kind), folder / "trained", preset)
    return files["diffusers"].path, trained.family.probe()


def gap(one, other) -> float:
    return float((one - other).abs().max())


@pytest.mark.parametrize(("kind", "layout"), LOADED)
def test_diffusers_reads_each_layout(kind, layout, tiny_model, tmp_path):
    """Foreign code that knows the layout arrives at the output of the training."""
    file, expected = source(kind, tiny_model, tmp_path)
    if (kind, layout) == ("flux", "kohya"):
        # its reader wants the fused layer of single blocks in the published size, and misnames the
        # last projection
        choice = Choice(drop=["single_*.to_?", "single_*.proj_mlp", "proj_out"])
        prune(file, tmp_path / "pruned.safetensors", choice, family=kind)
        file = tmp_path / "pruned.safetensors"
        bake(file, tiny_model(kind), tmp_path / "baked", family=kind)
        expected = tiny_family(kind, tmp_path / "baked", "denoiser").probe()
    out = tmp_path / "converted.safetensors"
    convert(file, out, layout=layout, family=kind)
    family = tiny_family(kind, tiny_model(kind), "denoiser")
    bare = family.probe()
    pipeline = diffusers_pipeline(kind, tiny_model(kind))
    setattr(pipeline, family.facts.denoiser_slot, family.denoiser)
    pipeline.load_lora_weights(str(tmp_path), weight_name=out.name)
    assert gap(family.probe(), expected) < 1e-6
    assert gap(bare, expected) > 1e-3


SDXL = {
    "block_out_channels": (320, 640, 1280),
    "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
    "up_block_types": ("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
    "transformer_layers_per_block": (1, 2, 10),
    "attention_head_dim": (5, 10, 20),
    "cross_attention_dim": 2048,
    "use_linear_projection": True,
}


def test_original_names_of_the_published_unet_are_those_that_diffusers_maps():
    """All layers of SDXL's blocks: our names there, turned back by diffusers' own converter."""
    from diffusers import UNet2DConditionModel
    from diffusers.loaders.lora_conversion_utils import (
        _convert_non_diffusers_lora_to_diffusers,
        _maybe_map_sgm_blocks_to_diffusers,
    )

    with torch.device("meta"):
        unet = UNet2DConditionModel(**SDXL)
    names = [n for n, m in unet.named_modules() if adaptable(m) and "block" in n]
    table = original_names("sdxl")
    assert table is not None
    theirs = {name: table.write(name) for name in names}
    assert all(theirs.values())
    tensors = {}
    for match in theirs.values():
        stem = "lora_unet_" + match.theirs.replace(".", "_")  # type: ignore[union-attr]
        tensors[f"{stem}.lora_down.weight"] = torch.zeros(4, 8)
        tensors[f"{stem}.lora_up.weight"] = torch.zeros(8, 4)
    mapped = _maybe_map_sgm_blocks_to_diffusers(tensors, unet.config)
    found, _ = _convert_non_diffusers_lora_to_diffusers(mapped)
    processor = re.compile(r"\.processor\.(to_[qkv]|to_out)_lora\..*")
    read = {processor.sub(r".\1", key).partition(".lora")[0] for key in found}
    attention = [n for n in names if ".attentions." in n]
    assert len(attention) > 700
    assert {f"unet.{n}".replace(".to_out.0", ".to_out") for n in attention} <= {
        name.replace(".to_out.0", ".to_out") for name in read
    }


@pytest.mark.parametrize("kind", FAMILIES)
def test_baking_each_layout_gives_the_same_output(kind, tiny_model, tmp_path):
    """A model with the adapter in its weights draws what the model with the adapter drew."""
    file, expected = source(kind, tiny_model, tmp_path)
    for layout in LAYOUTS:
        converted = tmp_path / f"{layout}.safetensors"
        convert(file, converted, layout=layout, family=kind)
        out = tmp_path / layout
        bake(converted, tiny_model(kind), out, family=kind)
        family = tiny_family(kind, out, "denoiser")
        assert gap(family.probe(), expected) < 1e-6, layout
        shutil.rmtree(out)


@pytest.mark.parametrize("algo", ["loha", "lokr", "full", "ia3", "glora", "diag-oft", "lora"])
def test_other_algorithms_are_baked_as_they_act(algo, tiny_model, tmp_path):
    """What LyCORIS adds to a layer's output in training is what its baked weight gives."""
    dora = {"dora": True} if algo == "lora" else {}
    from tests.support.families import tiny_config
    from trainer.adapters.build import build_trainable

    kind = "sdxl"
    adapter = {"kind": "lycoris", "rank": 4, "alpha": 2.0, "lycoris": {"algo": algo}, **dora}
    family = tiny_family(kind, tiny_model(kind), "denoiser")
    config = tiny_config(kind, tiny_model(kind), adapter=adapter)
    trained = build_trainable(config, family, torch.float32)
    generator = torch.Generator().manual_seed(1)
    for parameter in trained.parameters().values():
        parameter.data += torch.randn(parameter.shape, generator=generator) * 0.02
    (file,) = [f for f in trained.save(tmp_path / "trained", step=1) if f.layout != "diffusers"]
    bake(file.path, tiny_model(kind), tmp_path / "out", family=kind)
    baked = tiny_family(kind, tmp_path / "out", "denoiser").probe()
    assert gap(baked, family.probe()) < 1e-5
    assert gap(baked, tiny_family(kind, tiny_model(kind), "denoiser").probe()) > 1e-3


def test_half_strength_and_missing_layers(tiny_model, tmp_path):
    """Strength scales the change; an adapter of another model is refused before anything is
    written."""
    from safetensors.torch import load_file

    from tests.support.adapter_files import lora, written
    from trainer.adapters.tools.record import DOWN, UP, Part
    from trainer.errors import DataError

    kind = "flux"
    adapter = lora(kind, only="to_q")
    file = written(tmp_path / "a.safetensors", adapter)
    bake(file, tiny_model(kind), tmp_path / "out", strength=0.5, family=kind)
    weights = "transformer/diffusion_pytorch_model.safetensors"
    before, after = load_file(tiny_model(kind) / weights), load_file(tmp_path / "out" / weights)
    moved = {name for name in before if not before[name].equal(after[name])}
    assert moved == {f"{part.module}.weight" for part in adapter.parts}
    for part in adapter.parts:
        change = 0.5 * 0.5 * part.tensors[UP] @ part.tensors[DOWN]
        name = f"{part.module}.weight"
        assert torch.allclose(after[name] - before[name], change, atol=1e-6)
    stranger = Part(DENOISER, "transformer_blocks.9.attn.to_q", adapter.parts[0].tensors)
    other = written(tmp_path / "b.safetensors", adapter.with_parts([*adapter.parts, stranger]))
    with pytest.raises(DataError, match="LOR032"):
        bake(other, tiny_model(kind), tmp_path / "out2", family=kind)
    assert not (tmp_path / "out2").exists()
    assert not list(tmp_path.glob(".*"))
