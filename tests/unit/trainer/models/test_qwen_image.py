"""What is Qwen-Image's own: the dropped template, hidden padding, statistics by channel."""

from __future__ import annotations

import json
import shutil
from typing import Any

import pytest
import torch

from tests.support.families import (
    diffusers_pipeline,
    random_latents,
    some_times,
    tiny_family,
    told,
)
from tests.support.sampling import draw, request
from tests.support.tiny_qwen import SPECIAL, bare
from trainer.config.resolve import resolve
from trainer.errors import ConfigError

CAPTIONS = ["a red apple", "a blue car in the rain"]


def test_the_caption_is_whole_with_any_tokenizer(tiny_model):
    """A vocabulary of bytes makes a longer template; not a token more or less than it is cut."""
    from transformers import Qwen2Tokenizer

    family = tiny_family("qwen_image", tiny_model("qwen_image"), "text")
    letters = Qwen2Tokenizer(vocab=byte_vocabulary(), merges=[])
    letters.add_tokens(list(SPECIAL[1:]), special_tokens=True)
    family.tokenizers["tokenizer"] = letters
    entry = family.encode_text(["a red apple"])[0]
    behind = letters("<|im_end|>\n<|im_start|>assistant\n").input_ids
    assert entry["prompt_embeds"].shape[0] == len("a red apple") + len(behind)


def byte_vocabulary() -> dict[str, int]:
    from tokenizers import pre_tokenizers

    return {t: i for i, t in enumerate((*SPECIAL, *sorted(pre_tokenizers.ByteLevel.alphabet())))}


def test_padding_is_hidden_and_equal_lengths_need_no_mask(tiny_model):
    """A caption beside a longer one acts as it does alone; a mask is made only for padding."""
    family = tiny_family("qwen_image", tiny_model("qwen_image"), "text", "denoiser")
    entries = family.encode_text(CAPTIONS)
    both = family.collate_text(entries)
    assert both["mask"].sum(1).tolist() == [len(entry["prompt_embeds"]) for entry in entries]
    assert not both["mask"].all()
    noisy, time = random_latents(family), some_times(family)
    with torch.no_grad():
        together = family.forward(noisy, time, told(both))
        for row, entry in enumerate(entries):
            alone = family.collate_text([entry])
            assert "mask" not in alone
            part = slice(row, row + 1)
            single = family.forward(noisy[part], time[part], told(alone, 1))
            torch.testing.assert_close(together[part], single, atol=1e-5, rtol=1e-4)
        shown = family.forward(noisy, time, told({"prompt_embeds": both["prompt_embeds"]}))
    assert (together - shown).abs().max() > 1e-4
    assert "mask" not in family.collate_text([entries[0], entries[0]])


def test_latents_are_what_the_denoiser_was_trained_on(tiny_model):
    """Less the mean and divided by the deviation of their channel, as the edit pipeline does."""
    from diffusers import QwenImageEditPipeline

    family = tiny_family("qwen_image", tiny_model("qwen_image"), "vae")
    vae: Any = family.modules["vae"]
    pixels = torch.rand(2, 3, 32, 64) * 2 - 1
    mean, std = family.posterior(pixels)
    pipe = bare(QwenImageEditPipeline)
    pipe.register_modules(vae=vae)
    pipe.latent_channels = vae.config.z_dim
    with torch.no_grad():
        expected = pipe._encode_vae_image(pixels[:, :, None], torch.Generator())[:, :, 0]
        spread = vae.encode(pixels[:, :, None]).latent_dist.std[:, :, 0]
    torch.testing.assert_close(mean, expected)
    assert mean.shape == (2, 16, 8, 16)
    assert std is not None
    torch.testing.assert_close(std * torch.tensor(vae.config.latents_std)[:, None, None], spread)


def test_guidance_is_the_pipelines_own(tiny_model):
    """From cached text the picture is the one that the whole pipeline draws from prompts."""
    family = tiny_family("qwen_image", tiny_model("qwen_image"), "text", "vae", "denoiser")
    text, negative = family.encode_text(["a red apple", "a blue car"])
    family.unload("text")
    ours = draw(family, text, negative, request(32, 4.0))
    pipe = diffusers_pipeline("qwen_image", tiny_model("qwen_image"))
    pipe.set_progress_bar_config(disable=True)
    theirs = pipe(
        "a red apple",
        negative_prompt="a blue car",
        width=32,
        height=32,
        num_inference_steps=3,
        true_cfg_scale=4.0,
        generator=torch.Generator().manual_seed(4),
        output_type="latent",
    ).images
    torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=1e-4)
    plain = draw(family, text, negative, request(32, 1.0))
    assert (ours - plain).abs().max() > 1e-4
    assert torch.equal(plain, draw(family, text, None, request(32, 4.0)))


def test_long_captions_reach_the_denoiser(tiny_model):
    """The pipeline would cut given text at 512 tokens unless it is told not to."""
    family = tiny_family(
        "qwen_image", tiny_model("qwen_image"), "text", "denoiser", model={"max_tokens": 600}
    )
    entry = family.encode_text(["a red apple " * 300])[0]
    assert entry["prompt_embeds"].shape[0] == 600
    seen = []
    family.denoiser.txt_in.register_forward_pre_hook(lambda _, args: seen.append(args[0].shape[1]))
    draw(family, entry, entry, request(32, 3.0, steps=1))
    assert seen == [600, 600]


def test_a_layered_model_is_refused(tiny_model, tmp_path):
    """It is of the same class, and would be trained on one picture where it draws several."""
    folder = shutil.copytree(tiny_model("qwen_image"), tmp_path / "layered")
    path = folder / "transformer" / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"use_layer3d_rope": True}))
    with pytest.raises(ConfigError, match="ENV002"):
        tiny_family("qwen_image", folder, "denoiser")


@pytest.mark.parametrize(
    ("flavour", "repo"),
    [(None, "Qwen/Qwen-Image-2512"), ("v1.0", "Qwen/Qwen-Image")],
)
def test_flavours(flavour, repo, tmp_path):
    """The newest checkpoint unless another is named; both are sampled alike."""
    named = f'flavour = "{flavour}"\n' if flavour else ""
    text = f'[model]\nfamily = "qwen_image"\n{named}[train]\nsteps = 1\n'
    config = resolve(text, base_dir=tmp_path, env={}).config
    assert config is not None
    assert config.model.path == repo
    assert (config.noise.sampling, config.noise.shift) == ("sigmoid", 3.0)
