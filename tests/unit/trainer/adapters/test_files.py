"""Adapter files act in diffusers as the adapter did in memory, whichever layout."""

from __future__ import annotations

import json

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from tests.support.adapters import output, pipeline_output, trained
from tests.support.families import (
    IN_COMFYUI,
    KINDS,
    tiny_config,
    tiny_family,
)
from trainer.adapters.build import build_trainable
from trainer.adapters.io import order_header, read_adapter


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
@pytest.mark.parametrize("kind", IN_COMFYUI)
def test_comfyui_file_acts_the_same(kind, alpha, tiny_model, tmp_path):
    """The ComfyUI file keeps alpha too; diffusers' own converter reads it to the same output."""
    family, lora = trained(kind, tiny_model(kind), alpha=alpha)
    expected = output(family)
    lora.save(tmp_path, step=5)
    loaded = pipeline_output(kind, tiny_model(kind), tmp_path, f"{kind}-comfyui.safetensors")
    torch.testing.assert_close(loaded, expected, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_layouts_round_trip_without_loss(kind, tiny_model, tmp_path):
    """Either file read back is the adapter, tensor for tensor, with its alpha."""
    family, lora = trained(kind, tiny_model(kind), alpha=2.0)
    memory = lora.tensors()
    for file in lora.save(tmp_path, step=5):
        back = read_adapter(file.path, memory.modules, family.facts)
        assert back.tensors.keys() == memory.tensors.keys()
        assert all(torch.equal(back.tensors[k], t) for k, t in memory.tensors.items())
        assert back.alphas == memory.alphas


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


@pytest.mark.conformance("full")
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
    cls = catalog.load_class(family.facts.denoiser_class)
    opened = cls.from_pretrained(saved.path)
    pairs = zip(opened.parameters(), full.parameters().values(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)
    with full.base_scope():
        assert not torch.equal(first.data, next(iter(opened.parameters())))
    assert json.loads((saved.path / "config.json").read_text())["_class_name"]


def test_header_says_what_the_file_is(tiny_model, tmp_path):
    """Model spec names in the header; title from the job; the same for equal runs."""
    family = tiny_family("sdxl", tiny_model("sdxl"), "denoiser")
    config = tiny_config(
        "sdxl", tiny_model("sdxl"), adapter={"rank": 4}, job={"name": "my style / v2"}
    )
    lora = build_trainable(config, family, torch.float32)
    path = {f.layout: f for f in lora.save(tmp_path, step=0)}["comfyui"].path
    assert path.name == "my-style-v2-comfyui.safetensors"
    with safe_open(path, "pt") as file:
        header = file.metadata()
    assert header["modelspec.title"] == "my style / v2"
    assert header["modelspec.architecture"] == "stable-diffusion-xl-v1-base/lora"


def test_metadata_is_what_every_peft_knows(tiny_model, tmp_path):
    """An old loader refuses entries it has not heard of, so only the lasting ones are written."""
    _, lora = trained("flux", tiny_model("flux"), alpha=2.0)
    path = {f.layout: f for f in lora.save(tmp_path, step=5)}["diffusers"].path
    with safe_open(path, "pt") as file:
        packed = json.loads(file.metadata()["lora_adapter_metadata"])
    assert packed["transformer.r"] == 4
    assert packed["transformer.lora_alpha"] == 2.0
    lasting = {"r", "lora_alpha", "lora_dropout", "bias", "target_modules"}
    lasting |= {"rank_pattern", "alpha_pattern"}
    assert {key.removeprefix("transformer.") for key in packed} == lasting
