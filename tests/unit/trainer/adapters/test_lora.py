"""Adapters load where people use them, and a damaged file never counts as saved."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from tests.support.families import (
    KINDS,
    random_latents,
    some_sizes,
    some_times,
    tiny_config,
    tiny_family,
)
from trainer.adapters.build import build_trainable
from trainer.adapters.io import order_header, read_adapter
from trainer.adapters.layouts import detect
from trainer.adapters.verify import verify_file
from trainer.errors import ConfigError, DataError

CAPTIONS = ["a red apple", "a blue car"]


def trained(kind: str, path: Path, *, seed: int = 3, **adapter):
    """A family whose adapter has values as if it had been trained."""
    family = tiny_family(kind, path, "text", "vae", "denoiser")
    config = tiny_config(kind, path, adapter={"rank": 4} | adapter)
    lora = build_trainable(config, family, torch.float32)
    generator = torch.Generator().manual_seed(seed)
    for parameter in lora.parameters().values():
        parameter.data.normal_(0.0, 0.2, generator=generator)
    return family, lora


def output(family) -> torch.Tensor:
    family.denoiser.eval()
    text = family.collate_text(family.encode_text(CAPTIONS))
    with torch.no_grad():
        return family.forward(random_latents(family), some_times(family), text, some_sizes())


def pipeline_output(kind: str, path: Path, folder: Path, name: str) -> torch.Tensor:
    """Output of a fresh model after the diffusers pipeline class loaded the file."""
    from trainer import catalog

    family = tiny_family(kind, path, "text", "vae", "denoiser")
    cls = catalog.load(family.facts.pipeline_class.replace(".", ":", 1))
    pipe = cls.from_pretrained(path, **({"safety_checker": None} if kind == "sd1x" else {}))
    pipe.load_lora_weights(folder, weight_name=name)
    family.modules["denoiser"] = getattr(pipe, family.facts.denoiser_slot)
    return output(family)


@pytest.mark.parametrize("alpha", [4.0, 1.0])
@pytest.mark.parametrize("kind", KINDS)
def test_diffusers_file_acts_the_same_in_the_pipeline(kind, alpha, tiny_model, tmp_path):
    """`load_lora_weights` of the real pipeline class gives the in-memory output, any alpha."""
    family, lora = trained(kind, tiny_model(kind), alpha=alpha)
    with lora.base_scope():
        base = output(family)
    expected = output(family)
    assert (expected - base).abs().max() > 1e-3
    files = {f.layout: f for f in lora.save(tmp_path, step=5)}
    assert all(f.verified and not f.findings for f in files.values())
    loaded = pipeline_output(kind, tiny_model(kind), tmp_path, files["diffusers"].path.name)
    torch.testing.assert_close(loaded, expected, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("alpha", [4.0, 1.0])
@pytest.mark.parametrize("kind", KINDS)
def test_comfyui_file_acts_the_same(kind, alpha, tiny_model, tmp_path):
    """The ComfyUI file keeps alpha too; diffusers' own converter reads it to the same output."""
    family, lora = trained(kind, tiny_model(kind), alpha=alpha)
    expected = output(family)
    lora.save(tmp_path, step=5)
    if kind == "flux":  # diffusers has no reader for alpha beside its own names: read it ourselves
        fresh, other = trained(kind, tiny_model(kind), seed=8, alpha=alpha)
        modules = [n.rpartition(".lora_")[0] for n in other.parameters()]
        adapter = read_adapter(tmp_path / f"{kind}-comfyui.safetensors", modules)
        assert set(adapter.alphas.values()) == {alpha}
        other.load_state_dict(adapter.tensors)
        loaded = output(fresh)
    else:
        loaded = pipeline_output(kind, tiny_model(kind), tmp_path, f"{kind}-comfyui.safetensors")
    torch.testing.assert_close(loaded, expected, atol=1e-5, rtol=1e-4)


GOLDEN = {
    ("sd1x", "diffusers"): "unet.down_blocks.1.attentions.0.transformer_blocks.0.attn1.to_q."
    "lora_A.weight",
    ("sd1x", "comfyui"): "lora_unet_down_blocks_1_attentions_0_transformer_blocks_0_attn1_to_q."
    "lora_down.weight",
    ("sdxl", "comfyui"): "lora_unet_mid_block_attentions_0_transformer_blocks_0_attn2_to_out_0."
    "alpha",
    ("flux", "diffusers"): "transformer.transformer_blocks.0.attn.add_k_proj.lora_B.weight",
    ("flux", "comfyui"): "transformer.single_transformer_blocks.0.attn.to_v.alpha",
}


@pytest.mark.parametrize(("kind", "layout"), sorted(GOLDEN))
def test_golden_keys(kind, layout, tiny_model, tmp_path):
    """Names are those that the loaders of each program map."""
    _, lora = trained(kind, tiny_model(kind))
    files = {f.layout: f for f in lora.save(tmp_path, step=5)}
    keys = set(load_file(files[layout].path))
    assert GOLDEN[kind, layout] in keys
    tensors = len(lora.parameters())
    assert len(keys) == (tensors if layout == "diffusers" else tensors * 3 // 2)


@pytest.mark.parametrize("kind", KINDS)
def test_layouts_round_trip_without_loss(kind, tiny_model, tmp_path):
    """Either file read back is the adapter, tensor for tensor, with its alpha."""
    _, lora = trained(kind, tiny_model(kind), alpha=2.0)
    memory = lora.tensors()
    for file in lora.save(tmp_path, step=5):
        back = read_adapter(file.path, memory.modules)
        assert back.tensors.keys() == memory.tensors.keys()
        assert all(torch.equal(back.tensors[k], t) for k, t in memory.tensors.items())
        assert back.alphas == memory.alphas


def test_layout_is_recognised():
    """Each layout is told from its keys alone."""
    assert detect(["lora_unet_x.lora_down.weight"]) == "kohya-unet"
    assert detect(["transformer.x.lora_A.weight", "transformer.x.alpha"]) == "comfyui"
    assert detect(["unet.x.lora_A.weight"]) == "diffusers"


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        ("nan", "NaN"),
        ("missing", "missing"),
        ("unknown", "unknown"),
        ("shape", "shape"),
        ("value", "differs"),
        ("zero", "does nothing"),
        ("cut", "cannot read"),
    ],
)
def test_every_kind_of_damage_is_reported(spoil, words, tiny_model, tmp_path):
    """NaN, missing, unknown, misshapen, altered, empty and truncated files are all found out."""
    _, lora = trained("flux", tiny_model("flux"))
    memory = lora.tensors()
    path = lora.save(tmp_path, step=5)[0].path
    tensors = load_file(path)
    key = next(k for k in tensors if k.endswith("lora_B.weight"))
    if spoil == "nan":
        tensors[key][0, 0] = float("nan")
    elif spoil == "missing":
        del tensors[key]
    elif spoil == "unknown":
        tensors["transformer.nobody.lora_A.weight"] = torch.zeros(4, 4)
    elif spoil == "shape":
        tensors[key] = tensors[key][:-1].contiguous()
    elif spoil == "value":
        tensors[key][0, 0] += 1e-3
    elif spoil == "zero":
        for name, tensor in tensors.items():
            if "lora_B" in name:
                tensor.zero_()
                memory.tensors[name.removeprefix("transformer.")].zero_()
    save_file(tensors, path)
    if spoil == "cut":
        path.write_bytes(path.read_bytes()[:-8])
    problems = verify_file(path, memory, trained=True)
    assert any(words in p.message for p in problems), [str(p) for p in problems]


def test_a_file_that_fails_is_put_aside(tiny_model, tmp_path):
    """A non-finite adapter is quarantined and reported, not handed out."""
    _, lora = trained("flux", tiny_model("flux"))
    next(iter(lora.parameters().values())).data.fill_(float("inf"))
    saved = lora.save(tmp_path, step=5)
    assert not any(f.verified for f in saved)
    assert all(f.path.name.startswith("bad-") for f in saved)
    assert not (tmp_path / "pytorch_lora_weights.safetensors").exists()


def test_only_up_projections_learn_first(tiny_model):
    """A fresh adapter is the identity, and exactly its B matrices get a gradient."""
    family = tiny_family("flux", tiny_model("flux"), "text", "denoiser")
    before = output(family)
    lora = build_trainable(
        tiny_config("flux", tiny_model("flux"), adapter={"rank": 4}), family, torch.float32
    )
    torch.testing.assert_close(output(family), before)
    family.denoiser.train()
    text = family.collate_text(family.encode_text(CAPTIONS))
    out = family.forward(random_latents(family), some_times(family), text, some_sizes())
    out.square().mean().backward()
    moved = {n for n, p in lora.parameters().items() if p.grad is not None and p.grad.any()}
    assert moved == {n for n in lora.parameters() if "lora_B" in n}


def test_same_seed_same_start(tiny_model):
    """Initial values follow the run's seed, and the global generator is left alone."""

    def start(seed: int) -> torch.Tensor:
        family = tiny_family("flux", tiny_model("flux"), "denoiser")
        config = tiny_config(
            "flux", tiny_model("flux"), adapter={"rank": 4, "init": "gaussian"}, job={"seed": seed}
        )
        state = torch.random.get_rng_state()
        lora = build_trainable(config, family, torch.float32)
        assert torch.equal(state, torch.random.get_rng_state())
        return next(iter(lora.state_dict().values())).clone()

    assert torch.equal(start(1), start(1))
    assert not torch.equal(start(1), start(2))


@pytest.mark.parametrize("name", ["pytorch_lora_weights", "{kind}-comfyui"])
@pytest.mark.parametrize("kind", KINDS)
def test_start_from_an_adapter_file(kind, name, tiny_model, tmp_path):
    """`adapter.init_from` takes either layout as the start."""
    family, lora = trained(kind, tiny_model(kind))
    expected = output(family)
    lora.save(tmp_path, step=5)
    again = tiny_family(kind, tiny_model(kind), "text", "denoiser")
    adapter = {"rank": 4, "init_from": str(tmp_path / f"{name.format(kind=kind)}.safetensors")}
    build_trainable(tiny_config(kind, tiny_model(kind), adapter=adapter), again, torch.float32)
    torch.testing.assert_close(output(again), expected)


def test_start_from_another_rank_is_refused(tiny_model, tmp_path):
    """A file that does not fit is a finding with the counts, not a shape error."""
    _, lora = trained("flux", tiny_model("flux"))
    path = lora.save(tmp_path, step=5)[0].path
    family = tiny_family("flux", tiny_model("flux"), "denoiser")
    config = tiny_config("flux", tiny_model("flux"), adapter={"rank": 8, "init_from": str(path)})
    with pytest.raises(DataError, match="other shape"):
        build_trainable(config, family, torch.float32)


def test_unknown_targets_are_refused(tiny_model):
    """Targets that match nothing are an error with the known presets."""
    family = tiny_family("flux", tiny_model("flux"), "denoiser")
    config = tiny_config("flux", tiny_model("flux"), adapter={"targets": ["to_q", "nothing"]})
    with pytest.raises(ConfigError, match="nothing"):
        build_trainable(config, family, torch.float32)


def test_metadata_order_is_fixed(tmp_path):
    """Equal adapters give equal files: the header does not depend on a hash seed."""
    tensors = {"a": torch.ones(3)}
    blobs = set()
    for number in range(8):
        path = tmp_path / f"{number}.safetensors"
        save_file(tensors, path, metadata={str(i): "x" for i in range(12)})
        order_header(path)
        blobs.add(path.read_bytes())
        with safe_open(path, "pt") as file:
            assert torch.equal(file.get_tensor("a"), tensors["a"])
            assert len(file.metadata()) == 12
    assert len(blobs) == 1


@pytest.mark.parametrize("kind", KINDS)
def test_full_rank_folder_opens_as_the_component(kind, tiny_model, tmp_path):
    """All weights trained: the saved folder is what diffusers opens, value for value."""
    from trainer import catalog

    path = tiny_model(kind)
    family = tiny_family(kind, path, "denoiser")
    config = tiny_config(kind, path, model={"mode": "full"})
    full = build_trainable(config, family, torch.float32)
    first = next(iter(full.parameters().values()))
    first.data.add_(1.0)
    saved = full.save(tmp_path, step=1)[0]
    assert saved.verified
    cls = catalog.load(family.facts.denoiser_class.replace(".", ":", 1))
    opened = cls.from_pretrained(saved.path)
    pairs = zip(opened.parameters(), full.parameters().values(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)
    with full.base_scope():
        assert not torch.equal(first.data, next(iter(opened.parameters())))
    assert json.loads((saved.path / "config.json").read_text())["_class_name"]
