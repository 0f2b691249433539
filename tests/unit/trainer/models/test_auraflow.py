"""What only AuraFlow has: padding that takes part, registers, a learned table of positions."""

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
)
from tests.support.kinds.auraflow import build as tiny_auraflow
from tests.support.pictures import make_folder
from trainer.config.resolve import resolve
from trainer.data.prepare import prepare
from trainer.errors import ConfigError
from trainer.models.condition import Condition
from trainer.models.request import ImageRequest

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


def test_padding_is_restored_to_its_full_number(tiny_model):
    """A batch of short texts acts as the pipeline's padded ones; zeros count, wherever they are."""
    family = tiny_family("auraflow", tiny_model("auraflow"), "text", "denoiser")
    entries = family.encode_text(CAPTIONS)
    assert [len(e["prompt_embeds"]) < 20 for e in entries] == [True, True]
    text = family.collate_text(entries)
    assert text["prompt_embeds"].shape[1] == 32
    pipe = diffusers_pipeline("auraflow", tiny_model("auraflow"))
    embeds, _, _, _ = pipe.encode_prompt(CAPTIONS, None, False, max_sequence_length=32)
    assert not torch.equal(embeds, text["prompt_embeds"])  # this tokenizer pads in front
    noisy, time, sizes = random_latents(family), some_times(family), some_sizes()

    def output(tokens: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            return family.forward(noisy, time, Condition({"prompt_embeds": tokens}, sizes))

    ours = output(text["prompt_embeds"])
    torch.testing.assert_close(ours, output(embeds), atol=1e-5, rtol=1e-4)
    fewer = output(text["prompt_embeds"][:, :24])
    assert (ours - fewer).abs().max() > 1e-4


def test_registers_precede_the_text(tiny_model):
    """Eight tokens of the transformer's own, trained in full mode and left alone by adapters."""
    family = tiny_family("auraflow", tiny_model("auraflow"), "text", "denoiser")
    seen = []
    family.denoiser.joint_transformer_blocks[0].register_forward_pre_hook(
        lambda _, args, kwargs: seen.append(kwargs["encoder_hidden_states"]), with_kwargs=True
    )
    text = family.collate_text(family.encode_text(CAPTIONS))
    with torch.no_grad():
        family.forward(random_latents(family), some_times(family), Condition(text, some_sizes()))
    assert seen[0].shape[1] == 8 + 32
    assert torch.equal(seen[0][:, :8], family.denoiser.register_tokens.expand(2, -1, -1))


@pytest.mark.parametrize("guidance", [1.0, 3.5])
def test_sampling_equals_the_pipeline_with_words(guidance, tiny_model):
    """From cached entries of two lengths comes what the whole pipeline draws from the captions."""
    family = tiny_family("auraflow", tiny_model("auraflow"), "text", "vae", "denoiser")
    text, negative = family.encode_text(CAPTIONS)
    assert text["prompt_embeds"].shape != negative["prompt_embeds"].shape
    family.unload("text")
    ours = draw(family.pipeline(), **family.pipeline_kwargs(text, negative, request(guidance)))
    theirs = draw(
        diffusers_pipeline("auraflow", tiny_model("auraflow")),
        prompt=CAPTIONS[0],
        negative_prompt=CAPTIONS[1],
        guidance_scale=guidance,
        max_sequence_length=32,
        **family.request_kwargs(request(guidance)),
    )
    torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=1e-4)


def test_guidance_without_a_negative_text_needs_no_encoder(tiny_model):
    """The pipeline would encode an empty one, and the encoder is gone by then."""
    family = tiny_family("auraflow", tiny_model("auraflow"), "text", "denoiser")
    text = family.encode_text(CAPTIONS[:1])[0]
    family.unload("text")
    guided, plain = (
        draw(family.pipeline(), **family.pipeline_kwargs(text, None, request(scale)))
        for scale in (4.0, 1.0)
    )
    assert torch.equal(guided, plain)


def test_the_table_of_positions_bounds_the_size(tmp_path):
    """diffusers takes positions of the next row for a picture that is too wide, and says nothing;
    here such a size is refused before anything is encoded."""
    folder = tmp_path / "small"
    torch.manual_seed(0)
    tiny_auraflow(positions=64).save_pretrained(folder)
    family = tiny_family("auraflow", folder, "denoiser")
    assert family.largest_side == 8 * 2 * 2  # positions, patch, pixels of a latent pixel
    wide = torch.arange(64).view(8, 8)[:4]
    found = family.denoiser.pos_embed.pe_selection_index_based_on_dim(8, 24).view(4, 12)
    assert not torch.equal(found[:, 2:10], wide)  # 12 positions from a table of 8 a row
    make_folder(tmp_path / "pictures", 2, sizes=((64, 32),))
    dataset = {"id": "a", "path": str(tmp_path / "pictures"), "resolution": "40px2"}
    data = {"align": 4, "datasets": [dataset]}
    config = tiny_config("auraflow", folder, data=data, cache={"root": str(tmp_path / "cache")})
    with pytest.raises(ConfigError, match=r"CFG200.*32 pixels a side"):
        prepare(config, family, on_event=lambda *a, **k: None, should_stop=lambda: False)
    assert set(family.modules) == {"denoiser"}


@pytest.mark.parametrize(
    ("flavour", "repo", "tokens"),
    [
        (None, "fal/AuraFlow-v0.3", None),
        ("v0.2", "fal/AuraFlow-v0.2", None),
        ("v0.1", "fal/AuraFlow", None),
        ("pony", "purplesmartai/pony-v7-base", 768),
    ],
)
def test_flavours(flavour, repo, tokens, tmp_path):
    """Each checkpoint with its text length, and the shift of the published schedules."""
    named = f'flavour = "{flavour}"\n' if flavour else ""
    text = f'[model]\nfamily = "auraflow"\n{named}[train]\nsteps = 1\n'
    resolved = resolve(text, base_dir=tmp_path, env={})
    assert resolved.config is not None
    assert not any("max_tokens" in f.message for f in resolved.findings)
    config = resolved.config
    assert (config.model.path, config.model.max_tokens) == (repo, tokens)
    assert (config.validation.steps, config.validation.guidance) == (50, 3.5)
    assert (config.noise.sampling, config.noise.shift) == ("sigmoid", 1.73)
