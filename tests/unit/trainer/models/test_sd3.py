"""What only Stable Diffusion 3 has: three texts in one, a T5 that may be missing, alpha."""

from __future__ import annotations

import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.support.adapters import trained
from tests.support.families import tiny_config, tiny_family
from tests.support.kinds.sd3 import build as tiny_sd3
from trainer.adapters.build import build_trainable
from trainer.adapters.verify import verify_output
from trainer.config.resolve import resolve
from trainer.errors import ConfigError
from trainer.models.request import ImageRequest


def request(guidance: float, output_type: str = "latent") -> ImageRequest:
    return ImageRequest(
        width=32,
        height=32,
        steps=3,
        guidance=guidance,
        generator=torch.Generator().manual_seed(4),
        output_type=output_type,
    )


def draw(family, text, negative, guidance: float) -> torch.Tensor:
    pipe = family.pipeline()
    pipe.set_progress_bar_config(disable=True)
    with torch.no_grad():
        return pipe(**family.pipeline_kwargs(text, negative, request(guidance))).images


@pytest.fixture
def without_t5(tmp_path):
    """A checkpoint that was saved with `text_encoder_3=None`."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        pipeline = tiny_sd3(with_t5=False)
    pipeline.save_pretrained(tmp_path / "no-t5")
    return tmp_path / "no-t5"


def test_max_tokens_is_the_length_of_the_t5_part(tiny_model):
    """77 CLIP tokens come first, however long the T5 text behind them is."""
    path = tiny_model("sd3")
    for length in (16, 48):
        family = tiny_family("sd3", path, "text", model={"max_tokens": length})
        entry = family.encode_text(["a red apple"])[0]
        assert entry["prompt_embeds"].shape == (77 + length, 64)
    long = tiny_family("sd3", path, "text", model={"max_tokens": 48})
    assert family.identity("text") == long.identity("text")
    assert family.identity("text") != tiny_family("sd3", path).identity("text")


def test_a_checkpoint_without_t5_has_zeros_there(without_t5):
    """The text equals what the pipeline encodes when it has no third encoder."""
    from diffusers import StableDiffusion3Pipeline

    family = tiny_family("sd3", without_t5, "text")
    assert set(family.modules) == {"text_encoder", "text_encoder_2"}
    entry = family.encode_text(["a red apple"])[0]
    pipe = StableDiffusion3Pipeline.from_pretrained(
        without_t5, text_encoder_3=None, tokenizer_3=None
    )
    assert pipe.text_encoder_3 is None
    embeds, _, pooled, _ = pipe.encode_prompt(
        "a red apple", None, None, do_classifier_free_guidance=False, max_sequence_length=32
    )
    torch.testing.assert_close(entry["prompt_embeds"], embeds[0], atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(entry["pooled_prompt_embeds"], pooled[0], atol=1e-6, rtol=1e-5)
    assert entry["prompt_embeds"][:77].any()
    assert not entry["prompt_embeds"][77:].any()
    family.load("denoiser")
    assert draw(family, entry, None, 1.0).isfinite().all()


def test_a_t5_that_should_be_there_is_missed(tiny_model, tmp_path):
    """Only the checkpoint's own index makes it optional; a lost folder is an error."""
    import shutil

    folder = shutil.copytree(tiny_model("sd3"), tmp_path / "lost")
    shutil.rmtree(folder / "text_encoder_3")
    with pytest.raises(ConfigError, match="ENV001"):
        tiny_family("sd3", folder, "text")


def test_guidance_is_the_pipelines_own(tiny_model):
    """From cached text the picture is the one that the whole pipeline draws from prompts."""
    from diffusers import StableDiffusion3Pipeline

    family = tiny_family("sd3", tiny_model("sd3"), "text", "vae", "denoiser")
    text, negative = family.encode_text(["a red apple", "a blue car"])
    family.unload("text")
    ours = draw(family, text, negative, 4.0)
    pipe = StableDiffusion3Pipeline.from_pretrained(tiny_model("sd3"))
    pipe.set_progress_bar_config(disable=True)
    theirs = pipe(
        "a red apple",
        negative_prompt="a blue car",
        width=32,
        height=32,
        num_inference_steps=3,
        guidance_scale=4.0,
        generator=torch.Generator().manual_seed(4),
        max_sequence_length=32,
        output_type="latent",
    ).images
    torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=1e-4)
    assert (ours - draw(family, text, negative, 1.0)).abs().max() > 1e-4


def test_guidance_without_a_negative_text_needs_no_encoder(tiny_model):
    """The pipeline would encode an empty one, and the encoders are gone by then."""
    family = tiny_family("sd3", tiny_model("sd3"), "text", "denoiser")
    text = family.encode_text(["a red apple"])[0]
    family.unload("text")
    assert torch.equal(draw(family, text, None, 4.0), draw(family, text, None, 1.0))


def test_comfyui_file_with_a_wrong_alpha_is_found(tiny_model, tmp_path):
    """diffusers refuses alpha tensors here, so the check multiplies them in: it has to notice."""
    family, lora = trained("sd3", tiny_model("sd3"), alpha=1.0)
    path = {f.layout: f for f in lora.save(tmp_path, step=1)}["comfyui"].path
    with pytest.raises(ValueError, match="Invalid LoRA"):
        family.pipeline().load_lora_weights(str(tmp_path), weight_name=path.name)
    expected = family.probe()

    def check():
        return verify_output(path, family, expected, active="default", dtype=torch.float32)

    assert check() == []
    tensors = load_file(path)
    key = next(k for k in tensors if k.endswith("attn.to_v.alpha"))
    save_file(tensors | {key: tensors[key] * 8}, path)
    assert [p.code for p in check()] == ["LOR006"]


def test_second_attention_is_trained(tiny_model):
    """3.5 medium has a second attention in its first blocks; the default preset reaches it."""
    family = tiny_family("sd3", tiny_model("sd3"), "denoiser")
    lora = build_trainable(tiny_config("sd3", tiny_model("sd3")), family, torch.float32)
    names = lora.parameters()
    assert "transformer_blocks.0.attn2.to_q.lora_A.weight" in names
    assert not any("transformer_blocks.1.attn2" in name for name in names)


@pytest.mark.parametrize(
    ("flavour", "repo", "steps", "guidance"),
    [
        (None, "stabilityai/stable-diffusion-3.5-medium", 40, 4.5),
        ("large", "stabilityai/stable-diffusion-3.5-large", 28, 3.5),
        ("large-turbo", "stabilityai/stable-diffusion-3.5-large-turbo", 4, 0.0),
        ("3-medium", "stabilityai/stable-diffusion-3-medium-diffusers", 28, 7.0),
    ],
)
def test_flavours(flavour, repo, steps, guidance, tmp_path):
    """Each checkpoint comes with its own sampling; the noise is the family's."""
    named = f'flavour = "{flavour}"\n' if flavour else ""
    text = f'[model]\nfamily = "sd3"\n{named}[train]\nsteps = 1\n'
    config = resolve(text, base_dir=tmp_path, env={}).config
    assert config is not None
    assert config.model.path == repo
    assert (config.validation.steps, config.validation.guidance) == (steps, guidance)
    assert (config.noise.sampling, config.noise.shift) == ("sigmoid", 3.0)
