"""Checkpoints that edit: references in the forward call, and whole edited pictures."""

from __future__ import annotations

import sys
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.support.edits import EDITS, edit_family, picture, whole_pipeline
from tests.support.families import random_latents, some_sizes
from trainer.models.condition import Condition
from trainer.models.request import ImageRequest

SEVERAL = ("edit-v2", "edit-v3")
SEED = 4


def condition(family: Any, *references: Tensor) -> Condition:
    seen = [[picture()] * len(references)] * 2
    entries = family.encode_seen(["a red apple", "make the blue car green"], seen)
    return Condition(family.collate_text(entries), some_sizes(), references)


def by_hand(family: Any, noisy: Tensor, time: Tensor, told: Condition) -> Tensor:
    """The call as in the loops of diffusers' edit pipelines."""
    return {
        "qwen_image": _qwen,
        "longcat_image": _longcat,
        "kandinsky5_image": _kandinsky,
    }[family.facts.key](family, noisy, time, told)


def _packed(pipe: Any, noisy: Tensor, told: Condition) -> list[Tensor]:
    b, c = noisy.shape[:2]
    return [pipe._pack_latents(p, b, c, *p.shape[2:]) for p in (noisy, *told.references)]


def _qwen(family: Any, noisy: Tensor, time: Tensor, told: Condition) -> Tensor:
    from diffusers import QwenImageEditPlusPipeline as Pipe

    tokens = _packed(Pipe, noisy, told)
    shapes = [(1, p.shape[2] // 2, p.shape[3] // 2) for p in (noisy, *told.references)]
    out = family.denoiser(
        hidden_states=torch.cat(tokens, 1),
        encoder_hidden_states=told.text["prompt_embeds"],
        encoder_hidden_states_mask=told.text.get("mask"),
        timestep=time,
        img_shapes=[shapes] * len(noisy),
    ).sample[:, : tokens[0].shape[1]]
    h, w = noisy.shape[2:]
    return Pipe._unpack_latents(out, h * 8, w * 8, 8)[:, :, 0]


def _longcat(family: Any, noisy: Tensor, time: Tensor, told: Condition) -> Tensor:
    from diffusers import LongCatImageEditPipeline as Pipe
    from diffusers.pipelines.longcat_image.pipeline_longcat_image_edit import prepare_pos_ids

    embeds = told.text["prompt_embeds"]
    length = embeds.shape[1]
    tokens = _packed(Pipe, noisy, told)
    ids = [
        prepare_pos_ids(n, "image", (length, length), None, p.shape[2] // 2, p.shape[3] // 2)
        for n, p in enumerate((noisy, *told.references), 1)
    ]
    out = family.denoiser(
        hidden_states=torch.cat(tokens, 1),
        timestep=time,
        guidance=None,
        encoder_hidden_states=embeds,
        txt_ids=prepare_pos_ids(0, "text", num_token=length),
        img_ids=torch.cat(ids),
    ).sample[:, : tokens[0].shape[1]]
    h, w = noisy.shape[2:]
    return Pipe._unpack_latents(out, h * 8, w * 8, 8)


def _kandinsky(family: Any, noisy: Tensor, time: Tensor, told: Condition) -> Tensor:
    rows = []
    for n in range(len(noisy)):
        latents, image = (
            p[n : n + 1].permute(0, 2, 3, 1)[:, None] for p in (noisy, *told.references)
        )
        own = f"prompt_embeds.{n}"
        embeds = told.text[own] if own in told.text else told.text["prompt_embeds"][n : n + 1]
        rows.append(
            family.denoiser(
                hidden_states=torch.cat([latents, image, torch.ones_like(latents[..., :1])], -1),
                encoder_hidden_states=embeds,
                pooled_projections=told.text["pooled_prompt_embeds"][n : n + 1],
                timestep=time[n : n + 1] * 1000,
                visual_rope_pos=[
                    torch.arange(size) for size in (1, noisy.shape[2] // 2, noisy.shape[3] // 2)
                ],
                text_rope_pos=torch.arange(embeds.shape[1]),
                scale_factor=[1.0, 1.0, 1.0],
            ).sample
        )
    return torch.cat(rows)[:, 0].permute(0, 3, 1, 2)


@pytest.mark.parametrize("name", EDITS)
def test_references_are_told_as_the_pipeline_tells_them(name, tiny_edit):
    """Order, positions and the part of the output that counts; and the picture matters."""
    family = edit_family(name, tiny_edit(name), "text", "denoiser")
    noisy, time = random_latents(family), torch.tensor([0.3, 0.8])
    first, other = random_latents(family, seed=1), random_latents(family, seed=2)
    told = condition(family, first)
    cases = [told]
    if name in SEVERAL:  # another size too
        cases.append(condition(family, first, other[..., :8, :]))
    with torch.no_grad():
        for case in cases:
            ours = family.forward(noisy, time, case)
            assert ours.shape == noisy.shape
            torch.testing.assert_close(
                ours, by_hand(family, noisy, time, case), atol=1e-6, rtol=1e-5
            )
        changed = family.forward(noisy, time, Condition(told.text, told.sizes, (other,)))
        alone = family.forward(noisy, time, Condition(told.text, told.sizes))
        told_once = family.forward(noisy, time, told)
    assert alone.shape == noisy.shape
    assert (told_once - changed).abs().max() > 1e-4
    assert (told_once - alone).abs().max() > 1e-4


def request(**changes: Any) -> ImageRequest:
    given: dict[str, Any] = {
        "width": 96,
        "height": 64,
        "steps": 2,
        "guidance": 3.0,
        "generator": torch.Generator().manual_seed(SEED),
        "output_type": "latent",
        "pictures": (picture(96, 64),),
    }
    return ImageRequest(**given | changes)


def whole_picture(name: str, path: Any, monkeypatch: Any, guidance: float) -> Tensor:
    """What diffusers draws from prompts, at a size that its own budget would not allow."""
    pipe = whole_pipeline(name, path)
    module = sys.modules[type(pipe).__module__]
    kwargs: dict[str, Any] = {
        "image": picture(96, 64),
        "prompt": "make it red",
        "negative_prompt": "blurry",
        "num_inference_steps": 2,
        "generator": torch.Generator().manual_seed(SEED),
        "output_type": "latent",
        ("true_cfg_scale" if name.startswith("edit") else "guidance_scale"): guidance,
    }
    if name == "i2i":
        pipe.resolutions = [(96, 64)]
    else:
        third = (None,) if name == "edit-v1" else ()
        monkeypatch.setattr(module, "calculate_dimensions", lambda *_: (96, 64, *third))
    if name != "longcat":
        kwargs |= {"width": 96, "height": 64}
    drawn = pipe(**kwargs)
    return drawn.image if name == "i2i" else drawn.images


@pytest.mark.parametrize("name", EDITS)
def test_validation_edits_as_the_whole_pipeline_does(name, tiny_edit, monkeypatch):
    """From cached text the edited picture is the one that the pipeline draws from prompts."""
    family = edit_family(name, tiny_edit(name), "text", "vae", "denoiser")
    with monkeypatch.context() as patched, torch.no_grad():
        expected = whole_picture(name, tiny_edit(name), patched, 3.0)
        text, negative = family.encode_seen(["make it red", "blurry"], [[picture(96, 64)]] * 2)
    family.unload("text")
    family.tokenizers.clear()  # as in a run whose texts are all cached
    pipe = family.edit_pipeline()
    pipe.set_progress_bar_config(disable=True)

    def draw(**changes: Any) -> Tensor:
        asked = request(**changes)
        with torch.no_grad():
            return pipe(**family.pipeline_kwargs(text, negative, asked)).images

    drawn = draw()
    torch.testing.assert_close(drawn, expected, atol=1e-4, rtol=1e-4)
    assert (draw(pictures=(picture(96, 64, seed=9),)) - drawn).abs().max() > 1e-4
    assert (draw(guidance=1.0) - drawn).abs().max() > 1e-4


@pytest.mark.parametrize("name", ["edit-v1", "edit-v2", "longcat"])
def test_what_is_drawn_has_the_size_asked_for(name, tiny_edit):
    """Not a million pixels, which the pipelines take by themselves; and they are left as found."""
    family = edit_family(name, tiny_edit(name), "text", "vae", "denoiser")
    text = family.encode_seen(["make it red"], [[picture(96, 64)]])[0]
    pipe = family.edit_pipeline()
    pipe.set_progress_bar_config(disable=True)
    seen: list[Any] = []
    vae: Any = family.modules["vae"]
    vae.encoder.register_forward_pre_hook(lambda _, args: seen.append(args[0].shape[-2:]))
    module = sys.modules[type(pipe).__module__]
    before = module.calculate_dimensions
    asked = request(guidance=1.0, steps=1, output_type="pil")
    with torch.no_grad():
        drawn = pipe(**family.pipeline_kwargs(text, None, asked)).images[0]
    assert drawn.size == (96, 64)
    assert seen == [(64, 96)]
    assert module.calculate_dimensions is before


@pytest.mark.parametrize("name", SEVERAL)
def test_several_pictures_in_one_request(name, tiny_edit):
    """Each of them is looked at, in its own size."""
    family = edit_family(name, tiny_edit(name), "text", "vae", "denoiser")
    pipe = family.edit_pipeline()
    pipe.set_progress_bar_config(disable=True)

    def draw(*pictures: Any) -> Tensor:
        text = family.encode_seen(["make it red"], [pictures])[0]
        asked = request(guidance=1.0, steps=1, pictures=pictures)
        with torch.no_grad():
            return pipe(**family.pipeline_kwargs(text, None, asked)).images

    one, two = picture(96, 64), picture(64, 32, seed=5)
    both = draw(one, two)
    assert both.shape == draw(one).shape
    assert (both - draw(one)).abs().max() > 1e-4
    assert (both - draw(one, picture(64, 32, seed=6))).abs().max() > 1e-4
