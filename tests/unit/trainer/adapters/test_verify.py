"""A damaged or misread file never counts as saved, and checking disturbs nothing."""

from __future__ import annotations

import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.support.adapters import output, pipeline_output, trained
from tests.support.families import (
    tiny_config,
    tiny_family,
)
from trainer.adapters.build import build_trainable
from trainer.adapters.verify import verify_file


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


def test_saving_leaves_training_as_it_was(tiny_model, tmp_path):
    """Verifying loads a second adapter; afterwards nothing of it is left, and no draw was taken."""
    family, lora = trained("sd1x", tiny_model("sd1x"))
    family.denoiser.train()
    names = [n for n, _ in family.denoiser.named_parameters()]
    trainable = [n for n, p in family.denoiser.named_parameters() if p.requires_grad]
    before = output(family)
    family.denoiser.train()
    state = torch.random.get_rng_state()
    lora.save(tmp_path, step=5)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert [n for n, _ in family.denoiser.named_parameters()] == names
    assert [n for n, p in family.denoiser.named_parameters() if p.requires_grad] == trainable
    assert family.denoiser.training
    assert torch.equal(output(family), before)


def test_averaged_values_are_saved_and_verified(tiny_model, tmp_path):
    """`tensors` goes into the file, the live weights stay, and the check compares with the file."""
    family, lora = trained("flux", tiny_model("flux"))
    live = {k: v.clone() for k, v in lora.state_dict().items()}
    average = {k: v * 0.5 for k, v in live.items()}
    files = lora.save(tmp_path, step=5, tensors=average, suffix="-ema")
    assert all(f.verified for f in files)
    assert {f.path.name for f in files} == {
        "pytorch_lora_weights-ema.safetensors",
        "flux-comfyui-ema.safetensors",
    }
    assert all(torch.equal(v, live[k]) for k, v in lora.state_dict().items())
    loaded = pipeline_output("flux", tiny_model("flux"), tmp_path, files[0].path.name)
    lora.load_state_dict(average)
    torch.testing.assert_close(loaded, output(family), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("cause", ["scale", "load"])
def test_a_file_that_acts_otherwise_is_put_aside(cause, tiny_model, tmp_path, monkeypatch):
    """Tensors may be right while the loader makes something else of them: the output tells."""
    from trainer.adapters import lora as lora_module
    from trainer.adapters import verify

    _, lora = trained("flux", tiny_model("flux"))
    if cause == "scale":  # PEFT's own idea of the scale is not the one that was written
        for module in lora.family.denoiser.modules():
            if hasattr(module, "scaling") and "default" in module.scaling:
                module.scaling["default"] *= 1.01
    else:
        metadata = lora_module.LoRA._metadata
        monkeypatch.setattr(
            lora_module.LoRA, "_metadata", lambda self: metadata(self) | {"unheard_of": 1}
        )
    files = {f.layout: f for f in lora.save(tmp_path, step=5)}
    broken = files["diffusers"]
    assert not broken.verified
    assert [f.code for f in broken.findings] == ["LOR006"]
    assert broken.path.name.startswith("bad-")
    assert verify.SECOND not in lora.family.denoiser.peft_config


def test_a_damaged_full_rank_folder_is_put_aside(tiny_model, tmp_path):
    """Weights that are not finite are not handed out as a model."""
    family = tiny_family("flux", tiny_model("flux"), "denoiser")
    config = tiny_config("flux", tiny_model("flux"), model={"mode": "full"})
    full = build_trainable(config, family, torch.float32)
    next(iter(full.parameters().values())).data.fill_(float("nan"))
    for _ in range(2):  # a second failure replaces the first
        saved = full.save(tmp_path, step=1)[0]
        assert not saved.verified
        assert saved.path.name == "bad-transformer"
    assert not (tmp_path / "transformer").exists()
