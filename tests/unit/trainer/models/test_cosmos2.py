"""What only Cosmos-Predict2 has: EDM spoken as flow, a frame axis, zeros behind the text."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn

from tests.support.families import tiny_config, tiny_family
from tests.support.kinds.cosmos2 import Nobody
from tests.support.kinds.cosmos2 import build as tiny_cosmos
from trainer.config.resolve import resolve
from trainer.errors import ConfigError
from trainer.models.parts.torchvision_shim import InterpolationMode, resize
from trainer.models.request import ImageRequest
from trainer.objective.compose import build_objective
from trainer.validate.metrics import encoder_features

COSMOS = "diffusers.models.transformers.transformer_cosmos"


def request(guidance: float) -> ImageRequest:
    return ImageRequest(
        width=64,
        height=32,
        steps=4,
        guidance=guidance,
        generator=torch.Generator().manual_seed(4),
        output_type="latent",
    )


def draw(family: Any, text: Any, negative: Any, guidance: float) -> torch.Tensor:
    pipe = family.pipeline()
    pipe.set_progress_bar_config(disable=True)
    with torch.no_grad():
        return pipe(**family.pipeline_kwargs(text, negative, request(guidance))).images


class Oracle(nn.Module):
    """Answers as our objective wants it answered, and writes down what it is told."""

    dtype, device = torch.float32, torch.device("cpu")
    config = SimpleNamespace(in_channels=16)

    def __init__(self, x0: torch.Tensor) -> None:
        super().__init__()
        self.x0 = x0
        self.told: list[tuple[torch.Tensor, torch.Tensor]] = []
        self.eps = torch.zeros(())

    def forward(self, hidden_states: Any, timestep: Any, **_: Any) -> tuple[torch.Tensor]:
        noisy = hidden_states[:, :, 0]
        if not self.told:  # nearly pure noise
            self.eps = (noisy - (1 - timestep) * self.x0) / timestep
        self.told.append((noisy, timestep))
        return ((self.eps - self.x0)[:, :, None],)


def test_the_pipelines_edm_is_our_flow(tiny_model):
    """An oracle of `eps - x0` leads the real pipeline to x0, and at each of its steps it is fed
    our interpolation at the time it is told: input, time, sign and scale in one."""
    family = tiny_family("cosmos2", tiny_model("cosmos2"), "text", "denoiser")
    x0 = torch.randn(1, 16, 4, 8, generator=torch.Generator().manual_seed(0))
    oracle = Oracle(x0)
    family.modules["denoiser"] = oracle
    entry = family.encode_text(["a red apple"])[0]
    config = tiny_config("cosmos2", tiny_model("cosmos2"))
    objective = build_objective(config.noise, config.loss, family)
    found = draw(family, entry, None, 1.0)
    torch.testing.assert_close(found, x0, atol=0.02, rtol=0.01)
    assert len(oracle.told) == 4
    assert oracle.told[0][1] > 0.98
    for noisy, time in oracle.told:
        corrupted = objective.corrupt(x0, oracle.eps, time)
        torch.testing.assert_close(noisy, corrupted.noisy, atol=1e-4, rtol=1e-4)
        torch.testing.assert_close(corrupted.target, oracle.eps - x0)


def test_entries_keep_real_tokens_and_are_filled_up_with_zeros(tiny_model):
    """A short caption takes little room in the cache; the model sees its full length."""
    model = {"max_tokens": 48}
    family = tiny_family("cosmos2", tiny_model("cosmos2"), "text", model=model)
    short, long = family.encode_text(["a cat", "a blue car in the rain"])
    length = short["prompt_embeds"].shape[0]
    assert length < long["prompt_embeds"].shape[0] < 48
    batch = family.collate_text([short, long])["prompt_embeds"]
    assert batch.shape == (2, 48, 32)
    assert batch[0, :length].any()
    assert not batch[0, length:].any()
    other = tiny_family("cosmos2", tiny_model("cosmos2"), model={"max_tokens": 32})
    assert other.identity("text") != family.identity("text")


def test_guidance_is_the_pipelines_own(tiny_model):
    """From cached text the picture is the one that the whole pipeline draws from prompts."""
    from diffusers import Cosmos2TextToImagePipeline

    family = tiny_family("cosmos2", tiny_model("cosmos2"), "text", "vae", "denoiser")
    text, negative = family.encode_text(["a red apple", "a blue car in the rain"])
    family.unload("text")
    ours = draw(family, text, negative, 4.0)
    pipe = Cosmos2TextToImagePipeline.from_pretrained(
        tiny_model("cosmos2"), safety_checker=Nobody()
    )
    pipe.set_progress_bar_config(disable=True)
    theirs = pipe(
        "a red apple",
        negative_prompt="a blue car in the rain",
        width=64,
        height=32,
        num_inference_steps=4,
        guidance_scale=4.0,
        generator=torch.Generator().manual_seed(4),
        max_sequence_length=32,
        output_type="latent",
    ).images
    torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=1e-4)
    assert (ours - draw(family, text, negative, 1.0)).abs().max() > 1e-4
    assert torch.equal(draw(family, text, None, 4.0), draw(family, text, None, 1.0))


def test_latents_are_in_units_of_their_deviation(tiny_model):
    """Mean and deviation of each channel come from the autoencoder's configuration."""
    family = tiny_family("cosmos2", tiny_model("cosmos2"), "vae")
    vae = family.modules["vae"]
    pixels = torch.rand(2, 3, 32, 64) * 2 - 1
    mean, std = family.posterior(pixels)
    found = vae.encode(pixels[:, :, None]).latent_dist
    assert mean.shape == (2, 16, 4, 8)
    for channel in (0, 15):
        centre = vae.config.latents_mean[channel]
        width = vae.config.latents_std[channel]
        expected = (found.mean[:, channel, 0] - centre) / width
        torch.testing.assert_close(mean[:, channel], expected)
        torch.testing.assert_close(std[:, channel], found.std[:, channel, 0] / width)


def test_style_is_measured_by_an_autoencoder_of_films(tiny_model):
    """`eval.style_reference` looks at its layers as at those of the others."""
    family = tiny_family("cosmos2", tiny_model("cosmos2"), "vae")
    vae = family.modules["vae"]
    features = encoder_features(vae, torch.rand(2, 3, 32, 64))
    assert len(features) == 1 + len(vae.encoder.down_blocks)
    assert features[0].shape[0] == 2
    assert features[0].shape[-2:] == (32, 64)


@pytest.mark.skipif(find_spec("torchvision") is not None, reason="diffusers has the real one")
def test_the_shim_is_given_where_torchvision_is_missing(tiny_model, monkeypatch):
    """Without it the class fails; a `transforms` that is there already is left alone."""
    module = import_module(COSMOS)
    monkeypatch.delattr(module, "transforms", raising=False)
    family = tiny_family("cosmos2", tiny_model("cosmos2"), "denoiser")
    assert module.transforms.functional.resize is resize  # type: ignore[attr-defined]
    assert family.probe().isfinite().all()
    own = SimpleNamespace()
    monkeypatch.setattr(module, "transforms", own)
    tiny_family("cosmos2", tiny_model("cosmos2"), "denoiser")
    assert module.transforms is own  # type: ignore[attr-defined]


def test_the_shim_takes_the_nearest_pixel():
    """A mask is made smaller without grey values."""
    mask = (torch.arange(64).view(1, 1, 8, 8) % 3 == 0).float()
    small = resize(mask, [4, 2], interpolation=InterpolationMode.NEAREST)
    assert torch.equal(small, mask[:, :, ::2, ::4])


@pytest.mark.parametrize(
    "config", [{"extra_pos_embed_type": "learnable"}, {"use_crossattn_projection": True}]
)
def test_kin_of_the_same_class_are_refused(config, tmp_path):
    """Cosmos 1 and Predict2.5 are named, not trained by mistake."""
    tiny_cosmos(**config).transformer.save_pretrained(tmp_path / "transformer")
    with pytest.raises(ConfigError, match="ENV002"):
        tiny_family("cosmos2", tmp_path, "denoiser")


@pytest.mark.parametrize("flavour", [None, "14b"])
def test_flavours(flavour, tmp_path):
    """The size of the model is all that differs."""
    named = f'flavour = "{flavour}"\n' if flavour else ""
    text = f'[model]\nfamily = "cosmos2"\n{named}[train]\nsteps = 1\n'
    config = resolve(text, base_dir=tmp_path, env={}).config
    assert config is not None
    size = (flavour or "2b").upper()
    assert config.model.path == f"nvidia/Cosmos-Predict2-{size}-Text2Image"
    assert (config.validation.steps, config.validation.guidance) == (35, 7.0)
    assert (config.noise.sampling, config.noise.shift) == ("sigmoid", 4.0)
