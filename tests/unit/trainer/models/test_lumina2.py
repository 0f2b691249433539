"""What is Lumina's own: words before captions, lengths on the host, tables of positions."""

from __future__ import annotations

import pytest
import torch

from tests.support.families import (
    diffusers_pipeline,
    random_latents,
    some_sizes,
    some_times,
    tiny_family,
)
from tests.support.on_meta import on_meta
from trainer.config.resolve import resolve
from trainer.errors import ConfigError
from trainer.models.condition import Condition
from trainer.models.request import ImageRequest

CAPTIONS = ["a red apple", "a blue car in the rain"]


def loaded(tiny_model, *which: str, **options):
    model = {"options": {"lumina2": options}} if options else {}
    return tiny_family("lumina2", tiny_model("lumina2"), *which, model=model)


def same(entry, other) -> bool:
    return entry["prompt_embeds"].shape == other["prompt_embeds"].shape and torch.allclose(
        entry["prompt_embeds"], other["prompt_embeds"], atol=1e-6
    )


def test_only_captions_stand_behind_the_system_prompt(tiny_model):
    """The empty caption and negative texts are what the pipeline steers away from."""
    family = loaded(tiny_model, "text")
    pipe = diffusers_pipeline("lumina2", tiny_model("lumina2"))
    caption, dropped, again = family.encode_text(["a red apple", "", "a red apple"])
    assert same(caption, again)
    assert family.encodes_apart("a red apple")
    assert not family.encodes_apart(" ")
    for text, entry in (("", dropped), ("a red apple", family.encode_negative(["a red apple"])[0])):
        _, _, embeds, mask = pipe.encode_prompt(CAPTIONS[0], True, negative_prompt=text)
        real = max(1, int(mask.sum()))  # a text of no token keeps one of padding
        assert same(entry, {"prompt_embeds": embeds[0, :real]})
        assert len(caption["prompt_embeds"]) > real


def test_the_system_prompt_can_be_another(tiny_model):
    """model.options.lumina2.system_prompt replaces it, in the text and in the cache's key."""
    own = loaded(tiny_model, "text", system_prompt="draw")
    pipe = diffusers_pipeline("lumina2", tiny_model("lumina2"))
    embeds, mask, _, _ = pipe.encode_prompt(CAPTIONS[0], False, system_prompt="draw")
    entry = own.encode_text(CAPTIONS[:1])[0]
    assert same(entry, {"prompt_embeds": embeds[0, : int(mask.sum())]})
    assert own.identity("text") != loaded(tiny_model).identity("text")
    assert own.identity("vae") == loaded(tiny_model).identity("vae")


def test_real_tokens_are_as_good_as_all(tiny_model):
    """Entries without padding give what the pipeline's padded text with its mask gives."""
    family = loaded(tiny_model, "text", "denoiser")
    text = family.collate_text(family.encode_text(CAPTIONS))
    assert text["lengths"].tolist() == text["mask"].sum(1).tolist()
    assert text["lengths"].min() < text["lengths"].max() == text["mask"].shape[1] < 256
    pipe = diffusers_pipeline("lumina2", tiny_model("lumina2"))
    embeds, mask, _, _ = pipe.encode_prompt(CAPTIONS, False)
    noisy, time = random_latents(family), some_times(family)
    with torch.no_grad():
        ours = family.forward(noisy, time, Condition(text, some_sizes()))
        theirs = family.denoiser(
            hidden_states=noisy,
            timestep=1 - time,
            encoder_hidden_states=embeds,
            encoder_attention_mask=mask,
        ).sample
    torch.testing.assert_close(ours, -theirs, atol=1e-6, rtol=1e-5)


def test_forward_never_looks_at_the_device(tiny_model):
    """The transformer counts tokens on a mask of the host; the pipeline, later, on its own."""
    family = loaded(tiny_model, "text", "vae", "denoiser")
    entries = family.encode_text(CAPTIONS)
    text = family.collate_text(entries)
    rope = family.denoiser.rope_embedder
    with torch.no_grad():
        family.forward(random_latents(family), some_times(family), Condition(text, some_sizes()))
    assert not rope._forward_pre_hooks
    out = on_meta(family, text)
    assert out.shape == random_latents(family).shape
    assert all(table.device.type == "meta" for table in rope.freqs_cis)


@pytest.mark.parametrize("guidance", [1.0, 4.0])
def test_sampling_equals_the_pipeline_with_words(guidance, tiny_model):
    """Cached entries of a caption and of a negative text draw what the whole pipeline draws."""
    family = loaded(tiny_model, "text", "vae", "denoiser")
    text, negative = family.encode_text(CAPTIONS[:1]) + family.encode_negative(CAPTIONS[1:])
    request = ImageRequest(
        width=64,
        height=128,
        steps=3,
        guidance=guidance,
        generator=torch.Generator().manual_seed(5),
        output_type="latent",
    )
    ours, theirs = family.pipeline(), diffusers_pipeline("lumina2", tiny_model("lumina2"))
    for pipe in (ours, theirs):
        pipe.set_progress_bar_config(disable=True)
    found = ours(**family.pipeline_kwargs(text, negative, request)).images
    request.generator.manual_seed(5)
    expected = theirs(
        CAPTIONS[0],
        negative_prompt=CAPTIONS[1],
        guidance_scale=guidance,
        **family.request_kwargs(request),
    ).images
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize(
    ("size", "length", "axis"),
    [((130, 4), 8, "rows"), ((4, 130), 8, "columns"), ((4, 4), 300, "text")],
)
def test_beyond_the_table_of_positions(size, length, axis, tiny_model):
    """64 rows, 64 columns, 300 places for text and picture: more is a finding."""
    family = loaded(tiny_model, "denoiser")
    half = torch.tensor([0.5])
    text = {"prompt_embeds": torch.randn(1, length, 8)}
    with pytest.raises(ConfigError, match=rf"CFG213.*{axis}"):
        family.forward(torch.randn(1, 16, *size), half, Condition(text, some_sizes(1)))
    fits = {"prompt_embeds": torch.randn(1, 299, 8)}
    with torch.no_grad():
        out = family.forward(torch.randn(1, 16, 128, 8), half, Condition(fits, some_sizes(1)))
    assert out.isfinite().all()


@pytest.mark.parametrize(
    ("flavour", "repo", "guidance", "words"),
    [
        (None, "Alpha-VLLM/Lumina-Image-2.0", 4.0, None),
        ("neta-lumina", "terminusresearch/neta-lumina-v1", 5.0, "anime"),
    ],
)
def test_flavours(flavour, repo, guidance, words):
    """Neta was trained behind a system prompt of its own."""
    named = f'flavour = "{flavour}"\n' if flavour else ""
    config = resolve(f'[model]\nfamily = "lumina2"\n{named}', env={}).config
    assert config is not None
    assert config.model.path == repo
    assert (config.validation.steps, config.validation.guidance) == (30, guidance)
    assert (config.noise.sampling, config.noise.shift) == ("sigmoid", 3.0)
    prompt = config.model.options.lumina2.system_prompt
    assert prompt is None if words is None else words in (prompt or "")
