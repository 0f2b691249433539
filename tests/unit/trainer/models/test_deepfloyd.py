"""What is DeepFloyd IF's own: pixels for latents, a dropped variance, a text of 77 tokens."""

from __future__ import annotations

import shutil

import pytest
import torch

from bench.floor import our_parts
from tests.support.families import (
    diffusers_pipeline,
    random_latents,
    some_times,
    tiny_config,
    tiny_family,
    told,
)
from trainer.adapters.build import build_trainable
from trainer.catalog import family_facts
from trainer.data.datasets import square_size
from trainer.data.pixels import read_picture
from trainer.data.prepare import make_loader
from trainer.models.request import ImageRequest

CAPTIONS = ["A red Apple", "a blue car in the rain"]


def request(guidance: float = 1.0, output_type: str = "latent") -> ImageRequest:
    return ImageRequest(
        width=16,
        height=32,
        steps=4,
        guidance=guidance,
        generator=torch.Generator().manual_seed(5),
        output_type=output_type,
    )


def test_pixels_are_latents_and_need_no_weights(tiny_model, tmp_path):
    """Nothing is loaded or read for them: other weights, same latents, same cache."""
    family = tiny_family("deepfloyd", tiny_model("deepfloyd"), "vae")
    assert family.modules == {}
    pixels = torch.rand(2, 3, 16, 24) * 2 - 1
    mean, spread = family.posterior(pixels)
    assert torch.equal(mean, pixels)
    assert spread is None
    copy = shutil.copytree(tiny_model("deepfloyd"), tmp_path / "copy")
    for file in copy.glob("*/*.safetensors"):
        file.unlink()
    other = tiny_family("deepfloyd", copy)
    assert other.identity("vae") == family.identity("vae")
    assert other.describe("vae") == family.describe("vae")
    assert (other.spatial_factor, other.latent_channels) == (1, 3)


def test_a_batch_holds_the_pixels_of_its_pictures(tiny_model, tmp_path):
    """Through cache and loader: [3, H, W] in -1..1, to the value."""
    parts = our_parts(tiny_model("deepfloyd"), "deepfloyd", tmp_path, 32)
    batch = next(iter(make_loader(parts.prepared, parts.family, parts.config, 0)))
    plan = parts.prepared.plan_train
    item = next(i for i in plan.items() if i.sample_id == batch.sample_ids[0])
    picture = read_picture(tmp_path / "pictures" / item.relpath, "white")
    assert picture.size == (32, 32)
    expected = torch.tensor(list(picture.getdata())).view(32, 32, 3).permute(2, 0, 1)
    torch.testing.assert_close(batch.latents[0], expected / 127.5 - 1.0)


def test_the_text_is_lowered_and_77_tokens_long_with_its_padding(tiny_model):
    """The denoiser sees the states of padding too, as in its own training."""
    family = tiny_family("deepfloyd", tiny_model("deepfloyd"), "text", "denoiser")
    upper, lower = (family.encode_text([c])[0] for c in (CAPTIONS[0], CAPTIONS[0].lower()))
    assert torch.equal(upper["prompt_embeds"], lower["prompt_embeds"])
    assert upper["prompt_embeds"].shape[0] == 77
    noisy, time = random_latents(family, 1), some_times(family, 1)
    text = family.collate_text([upper])
    with torch.no_grad():
        whole = family.forward(noisy, time, told(text, 1))
        cut = {"prompt_embeds": text["prompt_embeds"][:, :20]}
        assert (whole - family.forward(noisy, time, told(cut, 1))).abs().max() > 1e-5


def test_the_variance_gets_no_gradient(tiny_model):
    """Full training leaves the unused half of the output as it was loaded."""
    family = tiny_family("deepfloyd", tiny_model("deepfloyd"), "text", "denoiser")
    family.denoiser.requires_grad_(True).train()
    text = family.collate_text(family.encode_text(CAPTIONS))
    out = family.forward(random_latents(family), some_times(family), told(text))
    assert out.shape[1] == 3
    out.square().mean().backward()
    gradient = family.denoiser.conv_out.weight.grad
    assert gradient[:3].any()
    assert not gradient[3:].any()


def test_sampling_does_not_trust_the_untrained_variance(tiny_model):
    """The published schedule says `learned_range`; trained models are drawn with a fixed one."""
    family = tiny_family("deepfloyd", tiny_model("deepfloyd"), "text", "denoiser")
    assert family.scheduler_config["variance_type"] == "learned_range"
    text = family.encode_text(CAPTIONS[:1])[0]

    def draw() -> torch.Tensor:
        pipe = family.pipeline()
        pipe.set_progress_bar_config(disable=True)
        return pipe(**family.pipeline_kwargs(text, None, request())).images

    before = draw()
    with torch.no_grad():
        family.denoiser.conv_out.bias[3:] += 1.0
    assert torch.equal(draw(), before)
    with torch.no_grad():
        family.denoiser.conv_out.bias[:3] += 1.0
    assert not torch.equal(draw(), before)


@pytest.mark.parametrize("guidance", [1.0, 7.0])
def test_sampling_equals_the_pipeline_with_words(guidance, tiny_model):
    """Cached text draws what the whole pipeline draws from the captions."""
    path = tiny_model("deepfloyd")
    family = tiny_family("deepfloyd", path, "text", "denoiser")
    text, negative = family.encode_text(CAPTIONS)
    ours, theirs = family.pipeline(), diffusers_pipeline("deepfloyd", path)
    fixed = {"variance_type": "fixed_small"}
    theirs.scheduler = theirs.scheduler.from_config(theirs.scheduler.config, **fixed)
    for pipe in (ours, theirs):
        pipe.set_progress_bar_config(disable=True)
    found = ours(**family.pipeline_kwargs(text, negative, request(guidance))).images
    kwargs = family.request_kwargs(request(guidance, "pt"))
    expected = theirs(
        CAPTIONS[0],
        negative_prompt=CAPTIONS[1],
        guidance_scale=guidance,
        clean_caption=False,
        **kwargs,
    ).images
    assert found.shape == (1, 3, 32, 16)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)


def test_guidance_without_a_negative_text_is_left_out(tiny_model):
    """The pipeline would encode one, with no encoder."""
    family = tiny_family("deepfloyd", tiny_model("deepfloyd"), "text", "denoiser")
    text = family.encode_text(CAPTIONS[:1])[0]
    assert family.pipeline_kwargs(text, None, request(7.0))["guidance_scale"] == 1.0


def test_no_file_for_a_program_that_does_not_load_it(tiny_model, tmp_path):
    """ComfyUI is left out of the layouts that are written, also by default."""
    family = tiny_family("deepfloyd", tiny_model("deepfloyd"), "denoiser")
    config = tiny_config("deepfloyd", tiny_model("deepfloyd"))
    assert config.adapter.formats is None
    files = build_trainable(config, family, torch.float32).save(tmp_path, step=0)
    assert [file.layout for file in files] == ["diffusers"]


@pytest.mark.parametrize(("asked", "edge"), [("64px2", 64), ("50px2", 48), ("102px2", 104)])
def test_validation_pictures_have_sizes_that_the_unet_takes(asked, edge, tiny_model):
    """A square of the training size, in multiples of 8 and not of the 2 of a pixel's grid."""
    data = {"datasets": [{"id": "a", "path": "a", "resolution": asked}]}
    config = tiny_config("deepfloyd", tiny_model("deepfloyd"), data=data)
    assert square_size(config, family_facts("deepfloyd")) == (edge, edge)
