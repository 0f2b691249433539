"""What is Sana's own: one latent, an instruction before captions, a flow solver, its sizes."""

from __future__ import annotations

import json
import shutil

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
from tests.support.kinds.sana import INSTRUCTION
from tests.support.kinds.sana import build as tiny_sana
from tests.support.on_meta import on_meta
from trainer.adapters.build import build_trainable
from trainer.adapters.io import layouts
from trainer.catalog.families.sana import FACTS
from trainer.config.resolve import resolve
from trainer.errors import ConfigError
from trainer.models.base import build_family
from trainer.models.condition import Condition
from trainer.models.request import ImageRequest

CAPTIONS = ["A red apple", "a blue car in the rain"]


def loaded(tiny_model, *which: str, **model):
    return tiny_family("sana", tiny_model("sana"), *which, model=model)


def encoded(pipe, caption: str, instruction, length: int = 32) -> torch.Tensor:
    embeds, mask, _, _ = pipe.encode_prompt(
        caption, False, max_sequence_length=length, complex_human_instruction=instruction
    )
    return embeds[0, : int(mask.sum())]


# --- latents -----------------------------------------------------------------------------------


def test_latents_have_the_autoencoders_scale_and_no_other(tiny_model):
    """Latents times a half, as another trainer feeds them, are not what the pipeline decodes."""
    family = loaded(tiny_model, "vae")
    pixels = torch.rand(2, 3, 32, 32) * 2 - 1
    vae = family.modules["vae"]
    with torch.no_grad():
        expected = vae.encode(pixels).latent * vae.config.scaling_factor
    torch.testing.assert_close(family.encode_media(pixels, [1, 2]), expected)
    mean, std = family.posterior(pixels)
    assert torch.equal(mean, family.encode_media(pixels, [3, 4]))
    assert std is None


def test_the_autoencoder_computes_in_fp32(tiny_model):
    """Also when the rest is bf16: compressed 32 times, a latent has no bits to give away."""
    assert loaded(tiny_model).vae_dtype is torch.float32
    config = tiny_config("sana", tiny_model("sana"))
    half = build_family(config, torch.device("cpu"), torch.bfloat16)
    half.load("vae")
    assert half.modules["vae"].dtype is torch.float32


def test_size_and_channels_are_the_checkpoints(tiny_model):
    """Read from this autoencoder's configuration, which counts its levels under other names."""
    family = loaded(tiny_model)
    assert (family.spatial_factor, family.latent_channels) == (2, 4)
    assert (family.facts.spatial_factor, family.facts.latent_channels) == (32, 32)


# --- text --------------------------------------------------------------------------------------


def test_only_captions_stand_behind_the_instruction(tiny_model):
    """The empty caption and negative texts are what the pipeline steers away from."""
    family = loaded(tiny_model, "text")
    pipe = diffusers_pipeline("sana", tiny_model("sana"))
    caption, dropped = family.encode_text([CAPTIONS[0], ""])
    torch.testing.assert_close(
        caption["prompt_embeds"], encoded(pipe, CAPTIONS[0], [INSTRUCTION]), atol=1e-5, rtol=1e-4
    )
    assert family.encodes_apart("blurry")
    assert not family.encodes_apart("")
    for text, entry in (("", dropped), ("Blurry", family.encode_negative(["Blurry"])[0])):
        _, _, embeds, mask = pipe.encode_prompt(
            CAPTIONS[0],
            negative_prompt=text,
            max_sequence_length=32,
            complex_human_instruction=[INSTRUCTION],
        )
        real = embeds[0, : max(1, int(mask.sum()))]  # the tiny tokenizer begins with no token
        torch.testing.assert_close(entry["prompt_embeds"], real, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("chosen", [None, "", "draw: "])
def test_the_instruction_is_the_pipelines_unless_configured(chosen, tiny_model):
    """model.options.sana.instruction replaces it, an empty text leaves it out, the key follows."""
    options = {} if chosen is None else {"instruction": chosen}
    family = loaded(tiny_model, "text", options={"sana": options})
    pipe = diffusers_pipeline("sana", tiny_model("sana"))
    seen = []
    encode = pipe.encode_prompt
    pipe.encode_prompt = lambda *a, **kw: (
        seen.append(kw["complex_human_instruction"]) or encode(*a, **kw)
    )
    pipe.set_progress_bar_config(disable=True)
    pipe("x", num_inference_steps=1, height=32, width=32, use_resolution_binning=False)
    own = seen[0] if chosen is None else [chosen] if chosen else None
    expected = encoded(pipe, CAPTIONS[0], own)
    entry = family.encode_text(CAPTIONS[:1])[0]["prompt_embeds"]
    torch.testing.assert_close(entry, expected, atol=1e-5, rtol=1e-4)
    assert family.identity("text") != loaded(tiny_model).identity("text")


def test_a_long_caption_is_cut_to_the_last_tokens(tiny_model):
    """The first token of all and the last 31 are kept, however long the instruction is."""
    family = loaded(tiny_model, "text")
    entry = family.encode_text(["red apple car " * 30])[0]
    assert entry["prompt_embeds"].shape == (32, 8)
    assert entry["mask"].all()


def test_real_tokens_are_as_good_as_all(tiny_model):
    """Entries without padding give what the pipeline's padded text with its mask gives."""
    family = loaded(tiny_model, "text", "denoiser")
    text = family.collate_text(family.encode_text(CAPTIONS))
    assert text["mask"].sum(1).unique().numel() == 2
    pipe = diffusers_pipeline("sana", tiny_model("sana"))
    embeds, mask, _, _ = pipe.encode_prompt(
        CAPTIONS, False, max_sequence_length=32, complex_human_instruction=[INSTRUCTION]
    )
    noisy, time = random_latents(family), some_times(family)
    with torch.no_grad():
        ours = family.forward(noisy, time, told(text))
        theirs = family.forward(noisy, time, told({"prompt_embeds": embeds, "mask": mask}))
        shown = family.forward(noisy, time, told({"prompt_embeds": embeds}))
    torch.testing.assert_close(ours, theirs, atol=1e-6, rtol=1e-5)
    assert (ours - shown).abs().max() > 1e-4


# --- training and sampling -----------------------------------------------------------------------


@pytest.mark.parametrize("positions", [None, 1.0])
def test_forward_never_looks_at_the_device(positions, tmp_path):
    """With and without a table of positions, and at another size than the table's."""
    torch.manual_seed(0)
    tiny_sana(interpolation_scale=positions, sample_size=8).save_pretrained(tmp_path / "m")
    family = tiny_family("sana", tmp_path / "m", "text", "denoiser")
    text = family.collate_text(family.encode_text(CAPTIONS))
    assert on_meta(family, text).shape == random_latents(family).shape


@pytest.mark.parametrize("guidance", [1.0, 4.5])
def test_sampling_equals_the_pipeline_with_words(guidance, tiny_model):
    """Cached entries draw what the whole pipeline draws, with the checkpoint's own flow solver."""
    family = loaded(tiny_model, "text", "vae", "denoiser")
    text, negative = family.encode_text(CAPTIONS[:1]) + family.encode_negative(CAPTIONS[1:])
    request = ImageRequest(
        width=32,
        height=64,
        steps=4,
        guidance=guidance,
        generator=torch.Generator().manual_seed(5),
        output_type="latent",
    )
    ours, theirs = family.pipeline(), diffusers_pipeline("sana", tiny_model("sana"))
    for pipe in (ours, theirs):
        pipe.set_progress_bar_config(disable=True)
    found = ours(**family.pipeline_kwargs(text, negative, request)).images
    request.generator.manual_seed(5)
    expected = theirs(
        CAPTIONS[0],
        negative_prompt=CAPTIONS[1],
        guidance_scale=guidance,
        max_sequence_length=32,
        complex_human_instruction=[INSTRUCTION],
        use_resolution_binning=False,
        **family.request_kwargs(request),
    ).images
    assert type(ours.scheduler).__name__ == "DPMSolverMultistepScheduler"
    assert ours.scheduler.config.use_flow_sigmas
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)


def test_sprint_is_refused(tiny_model, tmp_path):
    """Its transformer takes guidance as an input; it was distilled to a few steps with it."""
    folder = shutil.copytree(tiny_model("sana"), tmp_path / "copy")
    path = folder / "transformer" / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"guidance_embeds": True}))
    with pytest.raises(ConfigError, match=r"ENV002.*guidance_embeds"):
        tiny_family("sana", folder, "denoiser")


def test_the_wider_preset_reaches_the_convolutions(tiny_model):
    """The feed-forward part of its blocks is made of them."""
    family = loaded(tiny_model, "denoiser")
    config = tiny_config("sana", tiny_model("sana"), adapter={"preset": "attention+ffs"})
    names = build_trainable(config, family, torch.float32).parameters()
    assert names["transformer_blocks.0.ff.conv_inverted.lora_A.weight"].ndim == 4
    assert not any("conv_depth" in name for name in names)
    text = {"prompt_embeds": torch.randn(2, 8, 8)}
    out = family.forward(random_latents(family), some_times(family), Condition(text, some_sizes()))
    out.square().mean().backward()
    assert names["transformer_blocks.0.ff.conv_inverted.lora_B.weight"].grad.any()


# --- configuration -----------------------------------------------------------------------------

HEAD = '[model]\nfamily = "sana"\n'


@pytest.mark.parametrize(
    ("flavour", "repo", "resolution", "variant"),
    [
        (None, "SANA1.5_1.6B_1024px", "1024px2", None),
        ("sana1.5-4.8b-1024", "SANA1.5_4.8B_1024px", "1024px2", None),
        ("sana1.0-1.6b-2048", "Sana_1600M_2Kpx_BF16", "2048px2", "bf16"),
        ("sana1.0-1.6b-1024", "Sana_1600M_1024px_BF16", "1024px2", "bf16"),
        ("sana1.0-600m-1024", "Sana_600M_1024px", "1024px2", None),
        ("sana1.0-600m-512", "Sana_600M_512px", "512px2", None),
    ],
)
def test_flavours(flavour, repo, resolution, variant):
    """Each checkpoint with its size and the name of its files."""
    named = f'flavour = "{flavour}"\n' if flavour else ""
    config = resolve(HEAD + named, env={}).config
    assert config is not None
    assert config.model.path == f"Efficient-Large-Model/{repo}_diffusers"
    assert str(config.data.defaults.resolution) == resolution
    assert config.model.variant == variant
    assert layouts(config.adapter, FACTS) == ["diffusers"]


def test_sizes_are_multiples_of_32(tmp_path):
    """One latent pixel is 32 wide, and one of them makes a token."""

    def codes(size: str) -> set[str]:
        found = resolve(f'{HEAD}[validation]\nprompts = ["x"]\nresolution = "{size}"\n', env={})
        return {f.code for f in found.findings if f.level == "error"}

    assert "CFG091" not in codes("1056px")
    assert "CFG091" in codes("1040px")
    full = resolve(f'{HEAD}mode = "full"\n', env={})
    assert full.config is not None
    assert not {"CFG030", "CFG031"} & {f.code for f in full.findings}
