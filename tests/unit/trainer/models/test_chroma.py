"""What only Chroma has: a boolean mask with one padding token in sight, times at both ends."""

from __future__ import annotations

import pytest
import torch

from tests.support.families import (
    diffusers_pipeline,
    random_latents,
    some_sizes,
    some_times,
    tiny_config,
    tiny_family,
    told,
)
from trainer.adapters.build import build_trainable
from trainer.config.resolve import resolve
from trainer.models.condition import Condition
from trainer.models.request import ImageRequest
from trainer.objective.compose import build_objective

CAPTIONS = ["a red apple", "a blue car in the rain"]


def request(guidance: float) -> ImageRequest:
    return ImageRequest(
        width=32,
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


def test_one_token_of_padding_is_in_sight(tiny_model):
    """It ends the text; a text as long as the limit has none."""
    family = tiny_family("chroma", tiny_model("chroma"), "text")
    entries = family.encode_text(CAPTIONS)
    for caption, entry in zip(CAPTIONS, entries, strict=True):
        real = len(family.tokenizers["tokenizer"](caption).input_ids)
        assert entry["mask"].tolist() == [True] * (real + 1)
    short = tiny_family("chroma", tiny_model("chroma"), "text", model={"max_tokens": 8})
    assert short.encode_text([" ".join(CAPTIONS)])[0]["mask"].tolist() == [True] * 8


def test_what_is_in_sight_is_as_good_as_all(tiny_model):
    """Entries without hidden padding act as the padded text does under its boolean mask."""
    family = tiny_family("chroma", tiny_model("chroma"), "text", "denoiser")
    text = family.collate_text(family.encode_text(CAPTIONS))
    assert not text["mask"].all()
    pipe = diffusers_pipeline("chroma", tiny_model("chroma"))
    embeds, _, mask, *_ = pipe.encode_prompt(
        CAPTIONS, do_classifier_free_guidance=False, max_sequence_length=32
    )
    noisy, time, sizes = random_latents(family), some_times(family), some_sizes()
    with torch.no_grad():
        ours = family.forward(noisy, time, Condition(text, sizes))
        whole = {"prompt_embeds": embeds, "mask": mask.bool()}
        theirs = family.forward(noisy, time, Condition(whole, sizes))
        shown = family.forward(noisy, time, Condition({"prompt_embeds": embeds}, sizes))
    torch.testing.assert_close(ours, theirs, atol=1e-6, rtol=1e-5)
    assert (ours - shown).abs().max() > 1e-4


def test_hidden_tokens_have_no_say(tiny_model):
    """Any number in the padding gives the same output; a float mask would let it through."""
    family = tiny_family("chroma", tiny_model("chroma"), "text", "denoiser")
    text = dict(family.collate_text(family.encode_text(CAPTIONS)))
    other = text["prompt_embeds"].clone()
    other[~text["mask"]] += 3.0
    noisy, time = random_latents(family), some_times(family)
    with torch.no_grad():
        before = family.forward(noisy, time, told(text))
        for mask in (text["mask"], text["mask"].float()):  # a cache may give either
            after = family.forward(noisy, time, told({"prompt_embeds": other, "mask": mask}))
            torch.testing.assert_close(before, after, atol=1e-6, rtol=1e-5)


def test_recomputed_blocks_see_the_mask(tiny_model):
    """With checkpointing the padding stays hidden; diffusers alone forgets half of the blocks."""
    family = tiny_family("chroma", tiny_model("chroma"), "text", "denoiser")
    text = family.collate_text(family.encode_text(CAPTIONS))
    noisy, time = random_latents(family), some_times(family)
    family.denoiser.requires_grad_(True).train()
    plain = family.forward(noisy, time, told(text))
    family.enable_checkpointing()
    assert torch.equal(family.forward(noisy, time, told(text)), plain)
    family.denoiser.enable_gradient_checkpointing()
    assert (family.forward(noisy, time, told(text)) - plain).abs().max() > 1e-5


def test_two_forward_passes_keep_their_masks(tiny_model):
    """The gradients of the first pass are those of its own mask, though another came between."""

    def gradient(between: bool) -> torch.Tensor:
        family = tiny_family("chroma", tiny_model("chroma"), "text", "denoiser")
        text = family.collate_text(family.encode_text(CAPTIONS))
        family.denoiser.requires_grad_(True).train()
        family.enable_checkpointing()
        noisy, time = random_latents(family), some_times(family)
        out = family.forward(noisy, time, told(text))
        if between:
            family.forward(noisy, time, told({"prompt_embeds": text["prompt_embeds"]}))
        out.square().mean().backward()
        return family.denoiser.x_embedder.weight.grad

    assert torch.equal(gradient(False), gradient(True))


@pytest.mark.parametrize("guidance", [1.0, 4.0])
def test_sampling_equals_the_pipeline_with_words(guidance, tiny_model):
    """Cached entries of two lengths draw what the whole pipeline draws from its own texts, once
    their masks are boolean; with its float masks it draws something else."""
    family = tiny_family("chroma", tiny_model("chroma"), "text", "vae", "denoiser")
    text, negative = family.encode_text(CAPTIONS)
    family.unload("text")
    ours = draw(family.pipeline(), **family.pipeline_kwargs(text, negative, request(guidance)))
    pipe = diffusers_pipeline("chroma", tiny_model("chroma"))
    embeds, _, mask, others, _, hidden = pipe.encode_prompt(
        CAPTIONS[0], CAPTIONS[1], max_sequence_length=32
    )

    def theirs(kind: torch.dtype) -> torch.Tensor:
        return draw(
            pipe,
            prompt_embeds=embeds,
            prompt_attention_mask=mask.to(kind),
            negative_prompt_embeds=others,
            negative_prompt_attention_mask=hidden.to(kind),
            guidance_scale=guidance,
            **family.request_kwargs(request(guidance)),
        )

    torch.testing.assert_close(ours, theirs(torch.bool), atol=1e-5, rtol=1e-4)
    both = family.collate_text([text, negative])
    padded = [{name: rows[n] for name, rows in both.items()} for n in (0, 1)]
    assert not padded[0]["mask"].all()
    kwargs = family.pipeline_kwargs(padded[0], padded[1], request(guidance))
    again = draw(family.pipeline(), **kwargs)
    torch.testing.assert_close(again, ours, atol=1e-5, rtol=1e-4)
    assert (ours - theirs(torch.float32)).abs().max() > 1e-4


def test_guidance_without_a_negative_text_needs_no_encoder(tiny_model):
    """The pipeline would encode an empty one, and the encoder is gone by then."""
    family = tiny_family("chroma", tiny_model("chroma"), "text", "denoiser")
    text = family.encode_text(CAPTIONS[:1])[0]
    family.unload("text")
    guided, plain = (
        draw(family.pipeline(), **family.pipeline_kwargs(text, None, request(scale)))
        for scale in (4.0, 1.0)
    )
    assert torch.equal(guided, plain)


def test_no_preset_reaches_the_modulation(tiny_model):
    """One small network modulates every block: no adapter is put on it unless it is named."""
    for preset in tiny_family("chroma", tiny_model("chroma")).facts.lora_targets:
        family = tiny_family("chroma", tiny_model("chroma"), "denoiser")
        config = tiny_config("chroma", tiny_model("chroma"), adapter={"preset": preset})
        names = build_trainable(config, family, torch.float32).parameters()
        assert names
        assert not any("distilled_guidance_layer" in name for name in names)


def test_times_are_drawn_at_both_ends(tiny_model):
    """The family's own density is warped, without a shift; one that is chosen is not."""
    family = tiny_family("chroma", tiny_model("chroma"))

    def times(**noise) -> torch.Tensor:
        config = tiny_config("chroma", tiny_model("chroma"), noise=noise)
        objective = build_objective(config.noise, config.loss, family)
        return objective.draw(torch.zeros(200, 16, 8, 8), 1, list(range(200)), [0] * 200).time

    own, logits = times(), torch.logit(times(sampling="uniform"))
    assert ((own < 0.25) | (own >= 0.75)).all()
    low = own < 0.25
    drawn = torch.where(low, own.sqrt(), 1 - (1 - own).sqrt())
    assert abs(torch.logit(drawn).mean()) < 0.2  # a shift of 3 would move it by 1.1
    assert abs(torch.logit(drawn).std() - 1) < 0.2
    assert logits.std() > 1.5  # a uniform density, unwarped: 1.8
    assert ((times(sampling="beta") > 0.3) & (times(sampling="beta") < 0.7)).any()


@pytest.mark.parametrize(
    ("flavour", "repo", "steps", "guidance", "size"),
    [
        (None, "lodestones/Chroma1-Base", 35, 5.0, "512px2"),
        ("hd", "lodestones/Chroma1-HD", 40, 3.0, "1024px2"),
        ("flash", "lodestones/Chroma1-Flash", 16, 1.0, "1024px2"),
    ],
)
def test_flavours(flavour, repo, steps, guidance, size, tmp_path):
    """Each checkpoint comes with its own sampling and the size that it was trained at."""
    named = f'flavour = "{flavour}"\n' if flavour else ""
    text = f'[model]\nfamily = "chroma"\n{named}[train]\nsteps = 1\n'
    config = resolve(text, base_dir=tmp_path, env={}).config
    assert config is not None
    assert config.model.path == repo
    assert (config.validation.steps, config.validation.guidance) == (steps, guidance)
    assert str(config.data.defaults.resolution) == size
    assert (config.noise.sampling, config.noise.shift) == ("sigmoid", None)
