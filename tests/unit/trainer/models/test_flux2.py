"""What only Flux.2 has: two pipelines in one family, folded latents, layers of a language model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from tests.support.families import random_latents, some_times, tiny_config, tiny_family, told
from tests.support.kinds import flux2 as kind
from tests.support.tiny import save
from trainer.adapters.build import build_trainable
from trainer.config.resolve import resolve
from trainer.errors import ConfigError
from trainer.models.flux2 import LAYERS, fold, image_ids, text_ids, unfold
from trainer.models.request import ImageRequest

CAPTIONS = ["a red apple", "a blue car in the rain"]


def with_options(**options: Any) -> dict[str, Any]:
    return {"options": {"flux2": {"text_layers": list(kind.LAYERS)} | options}}


def draw(family: Any, text: Any, negative: Any, guidance: float, output: str = "latent") -> Any:
    request = ImageRequest(
        width=64,
        height=32,
        steps=3,
        guidance=guidance,
        generator=torch.Generator().manual_seed(4),
        output_type=output,
    )
    pipe = family.pipeline()
    pipe.set_progress_bar_config(disable=True)
    with torch.no_grad():
        return pipe(**family.pipeline_kwargs(text, negative, request)).images


# --- latents ---------------------------------------------------------------------------------


def test_folding_and_ids_are_the_pipelines():
    """Same channels in the same order, and back; rows of ids as the pipeline counts them."""
    from diffusers import Flux2Pipeline

    latents = torch.randn(2, 32, 6, 10)
    assert torch.equal(fold(latents), Flux2Pipeline._patchify_latents(latents))
    assert torch.equal(unfold(fold(latents)), latents)
    cpu = torch.device("cpu")
    assert torch.equal(image_ids(3, 5, cpu), Flux2Pipeline._prepare_latent_ids(fold(latents))[0])
    ids = Flux2Pipeline._prepare_text_ids(torch.zeros(1, 7, 4))[0]
    assert torch.equal(text_ids(7, cpu), ids)
    assert image_ids(3, 5, cpu) is image_ids(3, 5, cpu)


def test_the_middle_of_the_posterior_is_kept(tiny_model):
    """No noise in the cache; its width is known in the same units all the same."""
    family = tiny_family("flux2", tiny_model("flux2"), "vae")
    vae = family.modules["vae"]
    pixels = torch.rand(1, 3, 32, 64) * 2 - 1
    mean, std = family.posterior(pixels)
    assert std is not None
    assert mean.shape == std.shape == (1, 128, 8, 16)
    assert torch.equal(family.encode_media(pixels, [5]), mean)
    found = vae.encode(pixels).latent_dist
    centre, width = kind.normal(vae)
    torch.testing.assert_close(unfold(mean * width + centre), found.mean)
    torch.testing.assert_close(unfold(std * width), found.std)


# --- klein -----------------------------------------------------------------------------------


def test_kleins_guidance_is_the_pipelines_own(tiny_model):
    """From cached text the picture is the one that the whole pipeline draws from a prompt."""
    from diffusers import Flux2KleinPipeline

    family = tiny_family("flux2", tiny_model("flux2"), "text", "vae", "denoiser")
    text, negative = family.encode_text([CAPTIONS[0], ""])
    family.unload("text")
    ours = draw(family, text, negative, 4.0)
    pipe = Flux2KleinPipeline.from_pretrained(tiny_model("flux2"))
    pipe.set_progress_bar_config(disable=True)
    theirs = pipe(
        prompt=CAPTIONS[0],
        width=64,
        height=32,
        num_inference_steps=3,
        guidance_scale=4.0,
        generator=torch.Generator().manual_seed(4),
        max_sequence_length=32,
        text_encoder_out_layers=kind.LAYERS,
        output_type="latent",
    ).images
    torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=1e-4)
    plain = draw(family, text, None, 4.0)
    assert (ours - plain).abs().max() > 1e-4
    assert torch.equal(plain, draw(family, text, None, 1.0))


def test_a_distilled_klein_is_not_guided(tmp_path):
    """Its own index says so; a negative text changes nothing."""

    def distilled() -> Any:
        return kind.build(is_distilled=True)

    family = tiny_family("flux2", save(distilled, tmp_path), "text", "vae", "denoiser")
    text, negative = family.encode_text(CAPTIONS)
    assert torch.equal(draw(family, text, negative, 4.0), draw(family, text, None, 1.0))


# --- dev -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def dev(tmp_path_factory) -> Path:
    return save(kind.dev, tmp_path_factory.mktemp("tiny") / "flux2-dev")


def test_devs_text_is_mistrals(dev, tiny_model):
    """The index of a checkpoint tells which encoder it has; both are loaded by their own class."""
    from diffusers import Flux2Pipeline

    family = tiny_family("flux2", dev, "text")
    assert type(family.modules["text_encoder"]).__name__ == "Mistral3ForConditionalGeneration"
    pipe = Flux2Pipeline.from_pretrained(dev)
    for caption, entry in zip(CAPTIONS, family.encode_text(CAPTIONS), strict=True):
        torch.testing.assert_close(
            entry["prompt_embeds"], kind.text(pipe, caption)["prompt_embeds"]
        )
    klein = tiny_family("flux2", tiny_model("flux2"), "text")
    assert type(klein.modules["text_encoder"]).__name__ == "Qwen3ForCausalLM"


def test_devs_call_takes_guidance(dev):
    """The configured scalar reaches it in training, the asked one in sampling."""
    family = tiny_family("flux2", dev, "text", "vae", "denoiser")
    entries = family.encode_text(CAPTIONS)
    text, noisy, time = family.collate_text(entries), random_latents(family), some_times(family)
    with torch.no_grad():
        ours = family.forward(noisy, time, told(text))
        theirs = kind.call(family.denoiser, noisy, time, told(text))
        strong = tiny_family("flux2", dev, "denoiser", model=with_options(guidance=3.5))
        other = strong.forward(noisy, time, told(text))
    torch.testing.assert_close(ours, theirs, atol=1e-6, rtol=1e-5)
    assert (ours - other).abs().max() > 1e-5
    assert draw(family, entries[0], None, 4.0, "pil")[0].size == (64, 32)
    assert not torch.equal(draw(family, entries[0], None, 4.0), draw(family, entries[0], None, 1.0))


# --- options ---------------------------------------------------------------------------------


def test_layers_are_those_of_the_encoder_unless_named(dev, tiny_model):
    """Another choice of layers is another text, and no other picture."""
    model = {"options": {"flux2": {}}}
    for path, name in ((dev, "Flux2Pipeline"), (tiny_model("flux2"), "Flux2KleinPipeline")):
        assert tiny_family("flux2", path, model=model).text_layers == LAYERS[name]
    named = tiny_family("flux2", dev)
    other = tiny_family("flux2", dev, model=with_options(text_layers=[0, 1, 2]))
    assert named.identity("text") != other.identity("text")
    assert named.identity("vae") == other.identity("vae")


@pytest.mark.parametrize("layers", [None, [1, 2, 4], [-1, 1, 2]])
def test_a_layer_that_the_encoder_lacks_is_a_finding(layers, dev):
    """The tiny encoder has three, fewer than the published layers."""
    family = tiny_family("flux2", dev, "text", model=with_options(text_layers=layers))
    with pytest.raises(ConfigError, match="CFG251"):
        family.encode_text(CAPTIONS)


def test_single_blocks_are_reached_by_number(tiny_model):
    """`attn.to_out` is a layer in single blocks and a list of layers in double ones."""
    family = tiny_family("flux2", tiny_model("flux2"), "denoiser")
    config = tiny_config("flux2", tiny_model("flux2"), adapter={"preset": "all+ffs"})
    names = build_trainable(config, family, torch.float32).parameters()
    assert "single_transformer_blocks.0.attn.to_out.lora_A.weight" in names
    assert "transformer_blocks.0.attn.to_out.0.lora_A.weight" in names


@pytest.mark.parametrize(
    ("flavour", "name"), [(None, "klein-base-4B"), ("klein-9b", "klein-base-9B"), ("dev", "dev")]
)
def test_flavours(flavour, name, tmp_path):
    """Bases are trained, not the distilled ones."""
    named = f'flavour = "{flavour}"\n' if flavour else ""
    text = f'[model]\nfamily = "flux2"\n{named}[train]\nsteps = 1\n'
    config = resolve(text, base_dir=tmp_path, env={}).config
    assert config is not None
    assert config.model.path == f"black-forest-labs/FLUX.2-{name}"
    assert (config.validation.steps, config.noise.shift) == (50, 3.0)
