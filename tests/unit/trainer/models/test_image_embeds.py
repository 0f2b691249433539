"""What a denoiser is told of pictures equals what diffusers tells it."""

from __future__ import annotations

import numpy as np
import torch
from PIL import Image

from tests.support.families import (
    diffusers_pipeline,
    random_latents,
    some_sizes,
    some_times,
    tiny_family,
)
from trainer.models.condition import Condition

KIND = "stable_cascade"


def pictures() -> list[Image.Image]:
    rng = np.random.default_rng(0)
    return [Image.fromarray(rng.integers(0, 255, (64, 96, 3), dtype=np.uint8)) for _ in range(2)]


def test_embeddings_are_those_of_the_pipeline(tiny_model):
    """Same processor, same encoder, same output of it as `image=` of the prior pipeline."""
    family = tiny_family(KIND, tiny_model(KIND), "image")
    pipe = diffusers_pipeline(KIND, tiny_model(KIND))
    ours = family.encode_images(pictures())
    for row, picture in zip(ours, pictures(), strict=True):
        theirs, _ = pipe.encode_image([picture], "cpu", torch.float32, 1, 1)
        torch.testing.assert_close(row, theirs[0, 0], atol=1e-5, rtol=1e-4)
    assert not torch.equal(ours[0], ours[1])
    family.unload("image")
    assert not family.modules


def test_the_denoiser_hears_them(tiny_model):
    """Rows of zeros are a picture that is not told; another embedding is another prediction."""
    family = tiny_family(KIND, tiny_model(KIND), "text", "image", "denoiser")
    text = family.collate_text(family.encode_text(["a red apple", "a blue car"]))
    embeds = family.encode_images(pictures())
    noisy, time = random_latents(family), some_times(family)

    def forward(told: torch.Tensor | None) -> torch.Tensor:
        with torch.no_grad():
            return family.forward(noisy, time, Condition(text, some_sizes(), image_embeds=told))

    silent = forward(None)
    assert torch.equal(silent, forward(torch.zeros_like(embeds)))
    half = forward(torch.stack([embeds[0], torch.zeros_like(embeds[1])]))
    assert (half[0] - silent[0]).abs().max() > 1e-5
    torch.testing.assert_close(half[1], silent[1], atol=1e-5, rtol=1e-4)


def test_a_share_of_none_needs_no_encoder(tiny_model):
    """With share 0 nothing is asked of the image encoder, and its identity is in no key."""
    model = {"options": {"stable_cascade": {"image_embeds": 0.0}}}
    assert tiny_family(KIND, tiny_model(KIND), model=model).image_embeds_share == 0.0
    told, silent = tiny_family(KIND, tiny_model(KIND)), tiny_family("sd1x", tiny_model("sd1x"))
    assert told.image_embeds_share == 0.1
    assert silent.image_embeds_share == 0.0
    assert told.identity("image") != told.identity("text")
