"""What only CogView4 has: a time beside the noise level, texts of any length, told sizes."""

from __future__ import annotations

import json
import shutil
from typing import Any

import pytest
import torch

from tests.support.families import (
    diffusers_pipeline,
    random_latents,
    some_times,
    tiny_config,
    tiny_family,
    told,
)
from tests.unit.trainer.models.test_forward import Reads
from trainer.config.resolve import resolve
from trainer.models.condition import Condition
from trainer.models.request import ImageRequest
from trainer.objective.compose import build_objective

SHORT = "a red apple"
LONG = "a photo of a cat, sitting on grass, a green tree, a yellow sun and white clouds in the rain"


def request(guidance: float, width: int = 32) -> ImageRequest:
    return ImageRequest(
        width=width,
        height=64,
        steps=3,
        guidance=guidance,
        generator=torch.Generator().manual_seed(4),
        output_type="latent",
    )


def draw(pipe, **kwargs) -> torch.Tensor:
    pipe.set_progress_bar_config(disable=True)
    with torch.no_grad():
        return pipe(**kwargs).images


def heard(denoiser: Any) -> list[torch.Tensor]:
    """Times that the denoiser is called with, from now on."""
    times: list[torch.Tensor] = []
    denoiser.register_forward_pre_hook(
        lambda _, args, kwargs: times.append(kwargs["timestep"].clone()), with_kwargs=True
    )
    return times


@pytest.mark.parametrize("width", [32, 128])
@pytest.mark.parametrize(
    "schedule",
    [
        {},
        {"time_shift_type": "exponential"},
        {"use_dynamic_shifting": False, "shift": 3.0},
    ],
)
def test_the_time_is_the_one_that_sampling_has_at_this_noise(schedule, width, tiny_model, tmp_path):
    """The pipeline shifts noise alone: at each of its noise levels we tell its time."""
    folder = shutil.copytree(tiny_model("cogview4"), tmp_path / "copy")
    path = folder / "scheduler" / "scheduler_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | schedule))
    family = tiny_family("cogview4", folder, "text", "vae", "denoiser")
    times = heard(family.denoiser)
    text = family.encode_text([SHORT])[0]
    pipe = family.pipeline()
    draw(pipe, **family.pipeline_kwargs(text, None, request(1.0, width)))
    theirs, sigmas = torch.cat(times), pipe.scheduler.sigmas[:-1]
    assert theirs.tolist() == [1000.0, 500.0, 1.0]
    assert abs(1000 * sigmas[1] - 500) > 50  # noise is another matter
    times.clear()
    noisy = torch.randn(1, 4, 32, width // 2)
    for sigma in sigmas:
        with torch.no_grad():
            condition = told(family.collate_text([text]), 1)
            family.forward(noisy, sigma[None], condition)
    torch.testing.assert_close(torch.cat(times), theirs, atol=0.02, rtol=1e-4)


def test_training_draws_noise_as_sampling_does(tiny_model):
    """Even times, shifted by the pipeline's own rule at each size."""
    from diffusers.pipelines.cogview4.pipeline_cogview4 import calculate_shift

    family = tiny_family("cogview4", tiny_model("cogview4"))
    for size in ((16, 16), (128, 96)):
        config = tiny_config("cogview4", tiny_model("cogview4"))
        objective = build_objective(config.noise, config.loss, family)
        factor = calculate_shift(size[0] * size[1] // 4)
        latents = torch.zeros(400, 4, *size)
        sigmas = objective.draw(latents, 1, list(range(400)), [0] * 400).time
        even = sigmas / (factor - (factor - 1) * sigmas)
        assert abs(even.mean() - 0.5) < 0.05
        assert abs(even.std() - 12**-0.5) < 0.02


def test_each_text_has_its_own_length(tiny_model):
    """A multiple of 16, filled in front, whatever else is encoded at the same time."""
    family = tiny_family("cogview4", tiny_model("cogview4"), "text")
    together = family.encode_text([SHORT, LONG])
    pipe = diffusers_pipeline("cogview4", tiny_model("cogview4"))
    lengths = []
    for caption, entry in zip([SHORT, LONG], together, strict=True):
        alone, _ = pipe.encode_prompt(caption, do_classifier_free_guidance=False)
        torch.testing.assert_close(entry["prompt_embeds"], alone[0], atol=1e-5, rtol=1e-4)
        lengths.append(len(entry["prompt_embeds"]))
    assert lengths[0] == 16 < lengths[1]
    assert family.collate_text([together[0]] * 2).keys() == {"prompt_embeds"}
    mask = family.collate_text(together)["mask"]
    assert mask.sum(1).tolist() == lengths
    assert mask[0, :16].all()
    short = tiny_family("cogview4", tiny_model("cogview4"), "text", model={"max_tokens": 16})
    assert len(short.encode_text([LONG])[0]["prompt_embeds"]) == 16


def test_texts_of_two_lengths_share_a_batch(tiny_model):
    """Each row gives what it gives alone, whatever stands in the padding; no value is read."""
    family = tiny_family("cogview4", tiny_model("cogview4"), "text", "denoiser")
    entries = family.encode_text([SHORT, LONG])
    text = dict(family.collate_text(entries))
    other = text["prompt_embeds"].clone()
    other[~text["mask"]] += 3.0
    noisy, time = random_latents(family), some_times(family)
    with torch.no_grad():
        together = family.forward(noisy, time, told(text))
        hidden = family.forward(noisy, time, told(text | {"prompt_embeds": other}))
        alone = [
            family.forward(noisy[row, None], time[row, None], told(family.collate_text([entry]), 1))
            for row, entry in enumerate(entries)
        ]
        shown = family.forward(noisy, time, told({"prompt_embeds": other}))
    torch.testing.assert_close(together, torch.cat(alone), atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(together, hidden, atol=1e-5, rtol=1e-4)
    assert (together - shown)[0].abs().max() > 1e-4
    with Reads() as reads:
        family.forward(noisy, time, told(text))
    assert reads.count == 0


def test_recomputed_blocks_hide_the_padding_too(tiny_model):
    """Checkpointing changes no bit of the gradients of a batch with two lengths."""

    def gradients(checkpointing: bool) -> list[torch.Tensor]:
        family = tiny_family("cogview4", tiny_model("cogview4"), "text", "denoiser")
        family.denoiser.requires_grad_(True).train()
        if checkpointing:
            family.enable_checkpointing()
        text = family.collate_text(family.encode_text([SHORT, LONG]))
        out = family.forward(random_latents(family), some_times(family), told(text))
        out.square().mean().backward()
        return [p.grad for p in family.denoiser.parameters() if p.grad is not None]

    plain, recomputed = gradients(False), gradients(True)
    assert all(torch.equal(a, b) for a, b in zip(plain, recomputed, strict=True))


def test_sizes_are_told_in_their_places(tiny_model):
    """Original size, crop and target size, each by height and width, as the pipeline has them."""
    family = tiny_family("cogview4", tiny_model("cogview4"), "text", "denoiser")
    text = family.collate_text(family.encode_text([SHORT]))
    sizes = torch.tensor([[1333, 1000, 3, 17, 1024, 768]])
    noisy, time = random_latents(family, 1), torch.tensor([0.5])
    factor = family.shift_rule(64)
    with torch.no_grad():
        ours = family.forward(noisy, time, Condition(text, sizes))
        theirs = family.denoiser(
            noisy,
            text["prompt_embeds"],
            1000 * time / (factor - (factor - 1) * time),
            original_size=torch.tensor([[1333.0, 1000.0]]),
            target_size=torch.tensor([[1024.0, 768.0]]),
            crop_coords=torch.tensor([[3.0, 17.0]]),
        ).sample
    torch.testing.assert_close(ours, theirs, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("guidance", [1.0, 3.5])
def test_sampling_equals_the_pipeline_with_words(guidance, tiny_model):
    """From cached entries of two lengths comes what the whole pipeline draws from the captions."""
    family = tiny_family("cogview4", tiny_model("cogview4"), "text", "vae", "denoiser")
    text, negative = family.encode_text([LONG, SHORT])
    family.unload("text")
    ours = draw(family.pipeline(), **family.pipeline_kwargs(text, negative, request(guidance)))
    theirs = draw(
        diffusers_pipeline("cogview4", tiny_model("cogview4")),
        prompt=LONG,
        negative_prompt=SHORT,
        guidance_scale=guidance,
        **family.request_kwargs(request(guidance)),
    )
    torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-4)


def test_guidance_without_a_negative_text_needs_no_encoder(tiny_model):
    """The pipeline would encode an empty one, and the encoder is gone by then."""
    family = tiny_family("cogview4", tiny_model("cogview4"), "text", "denoiser")
    text = family.encode_text([SHORT])[0]
    family.unload("text")
    guided, plain = (
        draw(family.pipeline(), **family.pipeline_kwargs(text, None, request(scale)))
        for scale in (4.0, 1.0)
    )
    assert torch.equal(guided, plain)


def test_the_checkpoint_brings_its_defaults(tmp_path):
    """Even times with the automatic shift, text up to 1024 tokens, the sampling of its card."""
    text = '[model]\nfamily = "cogview4"\nmax_tokens = 1024\n[train]\nsteps = 1\n'
    resolved = resolve(text, base_dir=tmp_path, env={})
    config = resolved.config
    assert config is not None
    assert not any(f.where.endswith("max_tokens") for f in resolved.findings)
    assert (config.model.path, config.model.flavour) == ("zai-org/CogView4-6B", "6b")
    assert (config.noise.sampling, config.noise.shift) == ("uniform", "auto")
    assert (config.validation.steps, config.validation.guidance) == (50, 3.5)
