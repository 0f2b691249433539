"""Families translate; they change nothing: text, latents and predictions equal diffusers' own."""

from __future__ import annotations

import pytest
import torch

from tests.support.families import (
    KINDS,
    diffusers_pipeline,
    edge,
    kind_of,
    random_latents,
    some_sizes,
    some_times,
    tiny_family,
    told,
)
from trainer.models.condition import Condition

CAPTIONS = ["a red apple", "a blue car in the rain"]


def pictures(kind: str) -> torch.Tensor:
    return torch.rand(2, 3, edge(kind), edge(kind)) * 2 - 1


@pytest.mark.conformance("text")
@pytest.mark.parametrize("kind", KINDS)
def test_text_equals_the_pipeline(kind, tiny_model):
    """The cache holds what the diffusers pipeline would compute at sampling time."""
    family = tiny_family(kind, tiny_model(kind), "text")
    pipe = diffusers_pipeline(kind, tiny_model(kind))
    entries = family.encode_text(CAPTIONS)
    for caption, entry in zip(CAPTIONS, entries, strict=True):
        expected = kind_of(kind).text(pipe, caption)
        assert entry.keys() == expected.keys()
        for key, value in expected.items():
            torch.testing.assert_close(entry[key], value, atol=1e-5, rtol=1e-4)


def test_sdxl_knows_the_empty_caption_as_zeros(tiny_model):
    """force_zeros_for_empty_prompt: a dropped caption is what the pipeline uses for guidance."""
    family = tiny_family("sdxl", tiny_model("sdxl"), "text")
    entry = family.encode_text([""])[0]
    assert not entry["prompt_embeds"].any()
    assert not entry["pooled_prompt_embeds"].any()


@pytest.mark.conformance("latents")
@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind_of(kind).decodes])
def test_latents_are_normalised_and_come_back(kind, tiny_model):
    """decode(encode(x)) is what the autoencoder alone makes of x."""
    family = tiny_family(kind, tiny_model(kind), "vae")
    pixels = pictures(kind)
    latents = family.encode_media(pixels, [1, 2])
    expected = pixels
    if kind_of(kind).encoder is not None:
        vae = family.modules["vae"]
        expected = vae.decode(kind_of(kind).raw(vae, latents), return_dict=False)[0]
    torch.testing.assert_close(family.decode(latents), expected.reshape(pixels.shape))


@pytest.mark.conformance("latents")
@pytest.mark.parametrize("kind", KINDS)
def test_a_latent_does_not_depend_on_its_neighbours_seed(kind, tiny_model):
    """The posterior is drawn per picture: same seed, same noise, wherever it stands."""
    family = tiny_family(kind, tiny_model(kind), "vae")
    pixels = pictures(kind)
    forward = family.encode_media(pixels, [1, 2])
    backward = family.encode_media(pixels.flip(0), [2, 1]).flip(0)
    rounding = 1e-6 * float(forward.abs().max().clamp_min(1.0))
    torch.testing.assert_close(forward, backward, atol=rounding, rtol=1e-5)
    facts = family.facts
    drawn = facts.vae_class is not None and facts.latent_stat == "sample"
    drawn = drawn and not facts.vae_deterministic
    assert torch.equal(forward, family.encode_media(pixels, [3, 2])) != drawn


@pytest.mark.conformance("forward")
@pytest.mark.parametrize("kind", KINDS)
def test_forward_equals_a_direct_call(kind, tiny_model):
    """Packing, ids, guidance and conditions are what diffusers itself passes."""
    family = tiny_family(kind, tiny_model(kind), "text", "denoiser")
    text = family.collate_text(family.encode_text(CAPTIONS))
    noisy, time, sizes = random_latents(family), some_times(family), some_sizes()
    with torch.no_grad():
        ours = family.forward(noisy, time, Condition(text, sizes))
        theirs = kind_of(kind).call(family.denoiser, noisy, time, Condition(text, sizes))
    torch.testing.assert_close(ours, theirs, atol=1e-6, rtol=1e-5)


@pytest.mark.conformance("checkpointing")
@pytest.mark.parametrize("kind", KINDS)
def test_checkpointing_gives_equal_gradients(kind, tiny_model):
    """Recomputing activations changes memory, not one bit of the gradients."""

    def gradients(checkpointing: bool) -> list[torch.Tensor]:
        family = tiny_family(kind, tiny_model(kind), "text", "denoiser")
        family.denoiser.requires_grad_(True).train()
        if checkpointing:
            family.enable_checkpointing()
            assert family.denoiser.is_gradient_checkpointing
        text = family.collate_text(family.encode_text(CAPTIONS))
        out = family.forward(random_latents(family), some_times(family), told(text))
        out.square().mean().backward()
        return [p.grad for p in family.denoiser.parameters() if p.grad is not None]

    plain, recomputed = gradients(False), gradients(True)
    assert len(plain) == len(recomputed) > 0
    assert all(torch.equal(a, b) for a, b in zip(plain, recomputed, strict=True))


def test_flux_attention_mask_hides_padding(tiny_model):
    """With the mask on, other values in padded text positions leave the output unchanged."""
    options = {"options": {"flux": {"attention_mask": True}}}
    family = tiny_family("flux", tiny_model("flux"), "text", "denoiser", model=options)
    text = dict(family.collate_text(family.encode_text(["a red apple"])))
    assert 0 < int(text["mask"].sum()) < 32
    noisy, time, sizes = random_latents(family, 1), torch.tensor([0.5]), some_sizes(1)
    with torch.no_grad():
        before = family.forward(noisy, time, Condition(text, sizes))
        padded = text["prompt_embeds"].clone()
        padded[~text["mask"]] += 3.0
        after = family.forward(noisy, time, Condition(text | {"prompt_embeds": padded}, sizes))
        unmasked = {k: v for k, v in text.items() if k != "mask"}
        shown = family.forward(noisy, time, Condition(unmasked | {"prompt_embeds": padded}, sizes))
    torch.testing.assert_close(before, after, atol=1e-6, rtol=1e-5)
    assert (before - shown).abs().max() > 1e-4


@pytest.mark.parametrize("kind", KINDS)
def test_identity_follows_the_files(kind, tiny_model, tmp_path):
    """Another byte in the weights, another precision or option: another identity."""
    import shutil

    first = tiny_family(kind, tiny_model(kind))
    copy = shutil.copytree(tiny_model(kind), tmp_path / "copy")
    same = tiny_family(kind, copy)
    groups = ("text", "vae", "denoiser")
    assert [first.identity(g) for g in groups] == [same.identity(g) for g in groups]
    encoder = kind_of(kind).encoder
    changing = "vae" if encoder else "denoiser"
    weights = next(copy.glob(encoder or f"{first.facts.denoiser_slot}/*.safetensors"))
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(data)
    changed = tiny_family(kind, copy)
    assert changed.identity(changing) != first.identity(changing)
    assert changed.identity("text") == first.identity("text")


@pytest.mark.conformance("latents")
@pytest.mark.parametrize("kind", KINDS)
def test_the_latent_grid_is_that_of_the_checkpoint(kind, tiny_model):
    """A mask of another grid than its latents could not be laid over them."""
    family = tiny_family(kind, tiny_model(kind), "vae")
    side = kind_of(kind).side
    latents = family.encode_media(torch.zeros(1, 3, edge(kind), 2 * edge(kind)), [0])
    assert latents.shape[-2:] == (side, 2 * side)
    assert latents.shape[1] == family.latent_channels
    assert family.spatial_factor == kind_of(kind).factor


def test_length_of_text_is_no_matter_of_latents(tiny_model):
    """Another max_tokens encodes the captions again, and no picture."""
    short = tiny_family("flux", tiny_model("flux"), model={"max_tokens": 16})
    long = tiny_family("flux", tiny_model("flux"), model={"max_tokens": 32})
    assert short.identity("vae") == long.identity("vae")
    assert short.identity("text") != long.identity("text")
    assert short.describe("vae") == long.describe("vae")
