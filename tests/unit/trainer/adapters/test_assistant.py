"""The assistant of distilled checkpoints: there in training, nowhere else."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.support.adapters import CAPTIONS, output, pipeline_output, trained
from tests.support.families import random_latents, some_times, tiny_config, tiny_family, told
from trainer.adapters.assistant import ASSISTANT
from trainer.adapters.build import build_trainable
from trainer.config.resolve import resolve
from trainer.errors import ConfigError

KINDS = ("z_image", "flux")
NAME = "pytorch_lora_weights.safetensors"


@pytest.fixture
def assistant(tiny_model, tmp_path):
    """Folder of a made-up training adapter."""

    def make(kind: str, **adapter) -> Path:
        _, lora = trained(kind, tiny_model(kind), seed=11, **adapter)
        folder = tmp_path / f"assistant-{kind}"
        lora.save(folder, step=1)
        return folder

    return make


def helped(kind: str, model: Path, assistant: Path, **settings):
    """A family with a fresh adapter and its assistant."""
    family = tiny_family(kind, model, "text", "vae", "denoiser")
    own = {"path": str(assistant), "weight_name": NAME} | settings
    config = tiny_config(kind, model, adapter={"rank": 4}, model={"assistant": own})
    return family, build_trainable(config, family, torch.float32)


def frozen(family) -> bool:
    named = family.denoiser.named_parameters()
    wanted = {name: p.requires_grad for name, p in named}
    return all(on == (".default." in name) for name, on in wanted.items())


def step(family, lora) -> None:
    family.denoiser.train()
    text = family.collate_text(family.encode_text(CAPTIONS))
    out = family.forward(random_latents(family), some_times(family), told(text))
    out.square().mean().backward()
    with torch.no_grad():
        for parameter in lora.parameters().values():
            parameter -= 0.1 * parameter.grad


@pytest.mark.parametrize("kind", KINDS)
def test_it_acts_in_training(kind, tiny_model, assistant):
    """A fresh adapter adds nothing, so the model does what the pipeline does with the assistant."""
    folder = assistant(kind)
    family, _ = helped(kind, tiny_model(kind), folder)
    expected = pipeline_output(kind, tiny_model(kind), folder, NAME)
    torch.testing.assert_close(output(family), expected, atol=1e-5, rtol=1e-4)
    bare = output(tiny_family(kind, tiny_model(kind), "text", "denoiser"))
    assert (expected - bare).abs().max() > 1e-2


@pytest.mark.parametrize("kind", KINDS)
def test_it_is_off_in_use(kind, tiny_model, assistant):
    """Pictures are drawn without it, bit for bit, and it is back afterwards."""
    family, lora = helped(kind, tiny_model(kind), assistant(kind))
    bare = output(tiny_family(kind, tiny_model(kind), "text", "denoiser"))
    before = output(family)
    with lora.for_use():
        assert torch.equal(output(family), bare)
    assert torch.equal(output(family), before)


def test_strengths(tiny_model, assistant):
    """Each strength scales its own case: half of it lies between none and all."""
    path, folder = tiny_model("flux"), assistant("flux", alpha=2.0)
    weak, _ = helped("flux", path, folder, strength=0.5)
    layer = next(m for m in weak.denoiser.modules() if ASSISTANT in getattr(m, "scaling", ()))
    assert layer.scaling[ASSISTANT] == 0.25  # alpha / rank is a half already
    family, lora = helped("flux", path, folder, strength=1.0, inference_strength=0.5)
    full = output(family)
    with lora.for_use():
        assert torch.equal(output(family), output(weak))
    assert torch.equal(output(family), full)


@pytest.mark.parametrize("kind", KINDS)
def test_it_stays_frozen(kind, tiny_model, assistant, tmp_path):
    """Neither a step nor any look at the model makes it trainable; its values stay."""
    family, lora = helped(kind, tiny_model(kind), assistant(kind))
    assert frozen(family)
    values = {k: v.clone() for k, v in family.denoiser.state_dict().items() if ASSISTANT in k}
    assert values
    step(family, lora)
    with lora.base_scope(), lora.for_use(), lora.at_strength(0.5):
        pass
    lora.save(tmp_path / "out", step=1)
    assert frozen(family)
    step(family, lora)
    after = family.denoiser.state_dict()
    assert all(torch.equal(after[key], value) for key, value in values.items())
    gradients = [p.grad for n, p in family.denoiser.named_parameters() if ASSISTANT in n]
    assert gradients == [None] * len(gradients)


@pytest.mark.parametrize("kind", KINDS)
def test_it_is_in_no_file(kind, tiny_model, assistant, tmp_path):
    """Saved files verify with it off, hold the trained adapter alone, and leave it on."""
    family, lora = helped(kind, tiny_model(kind), assistant(kind, preset="attention"))
    step(family, lora)
    before = output(family)
    files = lora.save(tmp_path / "with", step=1)
    assert all(file.verified for file in files), files
    assert torch.equal(output(family), before)
    plain, alone = trained(kind, tiny_model(kind))
    alone.load_state_dict(lora.state_dict())
    for one, other in zip(files, alone.save(tmp_path / "without", step=1), strict=True):
        assert one.path.read_bytes() == other.path.read_bytes()
    with lora.for_use():
        torch.testing.assert_close(output(family), output(plain))


def test_prior_predictions_have_it(tiny_model, assistant):
    """The trained adapter is kept to what it is added to: the model with its assistant."""
    family, lora = helped("flux", tiny_model("flux"), assistant("flux"))
    fresh = output(family)
    step(family, lora)
    step(family, lora)
    assert not torch.equal(output(family), fresh)
    with lora.base_scope():
        assert torch.equal(output(family), fresh)


def test_it_leaves_the_start_alone(tiny_model, assistant):
    """Initial values of the trained adapter, and the global generator, are as without it."""
    folder = assistant("flux")
    state = torch.random.get_rng_state()
    _, lora = helped("flux", tiny_model("flux"), folder)
    assert torch.equal(state, torch.random.get_rng_state())
    family = tiny_family("flux", tiny_model("flux"), "denoiser")
    config = tiny_config("flux", tiny_model("flux"), adapter={"rank": 4})
    alone = build_trainable(config, family, torch.float32)
    assert lora.parameters().keys() == alone.parameters().keys()
    for name, value in alone.state_dict().items():
        assert torch.equal(lora.state_dict()[name], value)


def test_layers_without_it_keep_the_short_way(tiny_model, assistant):
    """Where only the trained adapter is, the lean path of training still applies."""
    folder = assistant("flux", targets=["to_q"])
    family, _ = helped("flux", tiny_model("flux"), folder)
    layers = {n: m for n, m in family.denoiser.named_modules() if hasattr(m, "lean_adapter")}
    both = {n for n, m in layers.items() if m.active_adapters == ["default", ASSISTANT]}
    assert both == {n for n in layers if n.endswith("to_q")}
    assert all(m.active_adapters == ["default"] for n, m in layers.items() if n not in both)


def broken(kind: str, folder: Path) -> dict[str, object]:
    """Settings that cannot work, by what is wrong."""
    file = folder / NAME
    if kind == "no file":
        return {"weight_name": "other.safetensors"}
    if kind == "no place":
        return {"path": str(folder / "nowhere")}
    if kind == "two files":
        return {"weight_name": None}
    if kind == "garbage":
        file.write_bytes(b"not weights")
    else:
        tensors = load_file(file)
        old = "to_q" if kind == "unknown layer" else next(iter(tensors)).split(".lora_")[0]
        named = {k.replace(old, "to_z"): v for k, v in tensors.items()}
        if kind == "other shape":
            named = {k: v[..., :-1].contiguous() for k, v in tensors.items()}
        save_file(named, file)
    return {}


@pytest.mark.parametrize(
    "what",
    ["no file", "no place", "two files", "garbage", "one layer", "unknown layer", "other shape"],
)
def test_what_cannot_be_used_is_a_finding(what, tiny_model, assistant):
    """Missing, ambiguous, damaged, or for another model: never a traceback, never a part of it."""
    folder = assistant("flux")
    with pytest.raises(ConfigError) as caught:
        helped("flux", tiny_model("flux"), folder, **broken(what, folder))
    assert caught.value.finding.code == "CFG210"
    assert caught.value.finding.where == "model.assistant.path"


def test_the_only_file_needs_no_name(tiny_model, assistant):
    """A folder with one adapter file, or the file itself, is enough."""
    folder = assistant("flux")
    for other in folder.glob("*comfyui*"):
        other.unlink()
    by_folder, _ = helped("flux", tiny_model("flux"), folder, weight_name=None)
    by_file, _ = helped("flux", tiny_model("flux"), folder / NAME, weight_name=None)
    assert torch.equal(output(by_folder), output(by_file))


@pytest.mark.parametrize("layout", ["diffusers", "comfyui"])
def test_it_may_come_in_either_layout(layout, tiny_model, assistant):
    """Training adapters are published in both."""
    folder = assistant("z_image", alpha=2.0)
    name = NAME if layout == "diffusers" else next(folder.glob("*comfyui*")).name
    family, _ = helped("z_image", tiny_model("z_image"), folder, weight_name=name)
    expected = pipeline_output("z_image", tiny_model("z_image"), folder, NAME)
    torch.testing.assert_close(output(family), expected, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize(
    ("family", "flavour", "path", "name"),
    [
        (
            "z_image",
            "turbo",
            "ostris/zimage_turbo_training_adapter",
            "zimage_turbo_training_adapter_v1.safetensors",
        ),
        (
            "z_image",
            None,
            "ostris/zimage_turbo_training_adapter",
            "zimage_turbo_training_adapter_v2.safetensors",
        ),
        ("z_image", "base", None, None),
        ("z_image", "ostris-de-turbo", None, None),
        ("flux", "schnell", "ostris/FLUX.1-schnell-training-adapter", None),
        ("flux", "dev", None, None),
    ],
)
def test_flavours_bring_their_assistant(family, flavour, path, name):
    """Distilled flavours have one by themselves; the others have none."""
    named = f'flavour = "{flavour}"\n' if flavour else ""
    config = resolve(f'[model]\nfamily = "{family}"\n{named}', env={}).config
    assert config is not None
    assert (config.model.assistant.path, config.model.assistant.weight_name) == (path, name)
