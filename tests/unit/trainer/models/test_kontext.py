"""Pictures that a sample is made from: tokens behind its own, as in FLUX.1 Kontext."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from tests.support.families import random_latents, some_sizes, tiny_family
from trainer.models.condition import Condition
from trainer.models.request import ImageRequest


@pytest.fixture
def family(tiny_model):
    return tiny_family("flux", tiny_model("flux"), "text", "vae", "denoiser")


def condition(family, *references: torch.Tensor) -> Condition:
    text = family.collate_text(family.encode_text(["a red apple", "a blue car"]))
    return Condition(text, some_sizes(), references)


def by_hand(family, noisy, time, told: Condition) -> torch.Tensor:
    """The call as in the loop of diffusers' FluxKontextPipeline."""
    from diffusers import FluxKontextPipeline as Kontext

    b, c, h, w = noisy.shape
    tokens, ids = [], []
    for picture in (noisy, *told.references):
        height, width = picture.shape[-2:]
        tokens.append(Kontext._pack_latents(picture, b, c, height, width))
        ids.append(
            Kontext._prepare_latent_image_ids(b, height // 2, width // 2, "cpu", torch.float32)
        )
    for number, rows in enumerate(ids):
        rows[..., 0] = number
    out = family.denoiser(
        hidden_states=torch.cat(tokens, 1),
        timestep=time,
        guidance=torch.ones(b),
        pooled_projections=told.text["pooled_prompt_embeds"],
        encoder_hidden_states=told.text["prompt_embeds"],
        txt_ids=torch.zeros(told.text["prompt_embeds"].shape[1], 3),
        img_ids=torch.cat(ids),
    ).sample[:, : tokens[0].shape[1]]
    return Kontext._unpack_latents(out, h * 8, w * 8, 8)


def test_references_are_told_as_the_pipeline_tells_them(family):
    """Order, ids and the part of the output that counts; references may have other sizes."""
    noisy, time = random_latents(family), torch.tensor([0.3, 0.8])
    first = random_latents(family, seed=1)
    second = random_latents(family, seed=2)[..., :8, :]
    with torch.no_grad():
        for references in ((first,), (first, second)):
            told = condition(family, *references)
            ours = family.forward(noisy, time, told)
            assert ours.shape == noisy.shape
            torch.testing.assert_close(
                ours, by_hand(family, noisy, time, told), atol=1e-6, rtol=1e-5
            )
        alone = family.forward(noisy, time, condition(family))
        assert (alone - family.forward(noisy, time, condition(family, first))).abs().max() > 1e-4


def picture(width: int, height: int) -> Image.Image:
    values = np.random.default_rng(3).integers(0, 255, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(values)


@pytest.mark.parametrize("masked", [False, True])
def test_validation_edits_as_the_whole_pipeline_does(masked, tiny_model):
    """From cached text the edited picture is the one that the pipeline draws from a prompt."""
    from diffusers import FluxKontextPipeline

    model = {"options": {"flux": {"attention_mask": masked}}}
    family = tiny_family("flux", tiny_model("flux"), "text", "vae", "denoiser", model=model)
    text = family.encode_text(["a red apple"])[0]
    family.unload("text")

    def request() -> ImageRequest:
        return ImageRequest(
            width=48,
            height=32,
            steps=2,
            guidance=2.5,
            generator=torch.Generator().manual_seed(4),
            output_type="latent",
            pictures=(picture(48, 32),),
        )

    ours = family.edit_pipeline()
    ours.set_progress_bar_config(disable=True)
    with torch.no_grad():
        drawn = ours(**family.pipeline_kwargs(text, None, request())).images
    whole: Any = FluxKontextPipeline.from_pretrained(tiny_model("flux"))
    whole.set_progress_bar_config(disable=True)
    with torch.no_grad():
        expected = whole(
            image=picture(48, 32),
            prompt="a red apple",
            width=48,
            height=32,
            num_inference_steps=2,
            guidance_scale=2.5,
            generator=torch.Generator().manual_seed(4),
            max_sequence_length=32,
            output_type="latent",
            _auto_resize=False,
            max_area=48 * 32,
        ).images
    difference = (drawn - expected).abs().max()
    assert difference > 1e-4 if masked else difference < 1e-4
