"""What is Kandinsky's own: texts that stay apart, no shift, unscaled positions, any size."""

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
    tiny_config,
    tiny_family,
    told,
)
from tests.support.sampling import draw, request
from tests.unit.trainer.models.test_forward import Reads
from trainer.adapters.build import build_trainable
from trainer.config.resolve import resolve
from trainer.errors import ConfigError

KEY = "kandinsky5_image"
CAPTIONS = ["a red apple", "a blue car in the rain", "a red tree"]


@pytest.fixture
def family(tiny_model):
    return tiny_family(KEY, tiny_model(KEY), "text", "vae", "denoiser")


def counted_calls(family: Any) -> list[int]:
    """Batch sizes of the calls of the denoiser, as they come."""
    calls: list[int] = []
    family.denoiser.register_forward_pre_hook(
        lambda _, args, kwargs: calls.append(len(kwargs["hidden_states"])), with_kwargs=True
    )
    return calls


def test_a_caption_acts_beside_others_as_it_does_alone(family):
    """Nothing hides padding from this denoiser, so there must be none in a batch."""
    entries = family.encode_text(CAPTIONS)
    text = family.collate_text(entries)
    lengths = [entry["prompt_embeds"].shape[0] for entry in entries]
    assert lengths[0] == lengths[2] < lengths[1]
    noisy, time = random_latents(family, 3), some_times(family, 3)
    calls = counted_calls(family)
    with torch.no_grad():
        together = family.forward(noisy, time, told(text, 3))
        assert calls == [1, 1, 1]
        for row, entry in enumerate(entries):
            part = slice(row, row + 1)
            alone = told(family.collate_text([entry]), 1)
            single = family.forward(noisy[part], time[part], alone)
            torch.testing.assert_close(together[part], single, atol=1e-6, rtol=1e-5)
        equal = family.collate_text([entries[0], entries[2]])
        family.forward(noisy[:2], time[:2], told(equal))
    assert calls == [1, 1, 1, 1, 1, 1, 2]


def test_texts_of_different_length_wait_for_no_device(tiny_model, family):
    """Lengths are known from shapes: not one value is read in forward and backward."""
    build_trainable(tiny_config(KEY, tiny_model(KEY)), family, torch.float32)
    condition = told(family.collate_text(family.encode_text(CAPTIONS[:2])))
    noisy, time = random_latents(family), some_times(family)
    with Reads() as reads:
        family.forward(noisy, time, condition).square().mean().backward()
    assert reads.count == 0


def test_a_long_caption_leaves_its_neighbours_whole(tiny_model, family):
    """Cutting one, the pipeline would cut the end of all that are encoded with it."""
    long = " ".join(["a quick brown fox"] * 30)
    together = family.encode_text([long, *CAPTIONS])
    alone = [family.encode_text([caption])[0] for caption in (long, *CAPTIONS)]
    assert together[0]["prompt_embeds"].shape[0] <= 48
    for one, other in zip(together, alone, strict=True):
        torch.testing.assert_close(one["prompt_embeds"], other["prompt_embeds"])
    pipe = diffusers_pipeline(KEY, tiny_model(KEY))
    _, _, ends = pipe.encode_prompt([long, *CAPTIONS], max_sequence_length=48)
    assert ends.diff()[1] < len(alone[1]["prompt_embeds"])  # else this would not be needed


def test_padding_on_the_left_is_put_right(family):
    """Some checkpoints' tokenizers pad in front, where the encoder would look at it."""
    expected = family.encode_text(CAPTIONS)
    family.tokenizers["tokenizer"].padding_side = "left"
    for one, other in zip(family.encode_text(CAPTIONS), expected, strict=True):
        assert torch.equal(one["prompt_embeds"], other["prompt_embeds"])


def test_latents_are_scaled_and_not_shifted(family):
    """As its pipelines do with a picture, though the autoencoder's configuration has a shift."""
    vae = family.modules["vae"]
    assert vae.config.shift_factor
    pixels = torch.rand(1, 3, 64, 64) * 2 - 1
    mean, std = family.posterior(pixels)
    with torch.no_grad():
        found = vae.encode(pixels).latent_dist
    torch.testing.assert_close(mean, found.mean * vae.config.scaling_factor)
    torch.testing.assert_close(std, found.std * vae.config.scaling_factor)


def test_positions_are_not_scaled(family):
    """Those of films are, by their size; of pictures each patch is one step."""
    seen = []
    family.denoiser.visual_rope_embeddings.register_forward_pre_hook(
        lambda _, args: seen.append(args)
    )
    text = {k: torch.zeros(2, *shape) for k, shape in family.probe_text().items()}
    with torch.no_grad():
        family.forward(torch.zeros(2, 16, 8, 12), some_times(family), told(text))
    _, positions, scale = seen[0]
    assert [p.tolist() for p in positions] == [[0], [0, 1, 2, 3], [0, 1, 2, 3, 4, 5]]
    assert tuple(scale) == (1.0, 1.0, 1.0)


def test_guidance_is_the_pipelines_own(family, tiny_model):
    """From cached text the picture is the one that the whole pipeline draws from prompts."""
    text, negative = family.encode_text(["a red apple", "a blue car in the rain"])
    family.unload("text")
    ours = draw(family, text, negative, request((64, 96), 4.0))
    assert ours.shape == (1, 1, 12, 8, 16)
    pipe = diffusers_pipeline(KEY, tiny_model(KEY))
    pipe.set_progress_bar_config(disable=True)
    pipe.resolutions = [(64, 96)]
    theirs = pipe(
        "a red apple",
        negative_prompt="a blue car in the rain",
        width=64,
        height=96,
        num_inference_steps=3,
        guidance_scale=4.0,
        generator=torch.Generator().manual_seed(4),
        output_type="latent",
    ).image
    torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=1e-4)
    plain = draw(family, text, negative, request((64, 96), 1.0))
    assert (ours - plain).abs().max() > 1e-4
    assert torch.equal(plain, draw(family, text, None, request((64, 96), 4.0)))


def test_times_stay_exact_in_bf16(tiny_model):
    """bf16 has one number for times 513 to 515; the class keeps the embedding of times in fp32."""
    model = {"components": {"denoiser": {"dtype": "bf16"}}}
    family = tiny_family(KEY, tiny_model(KEY), "denoiser", model=model)
    assert family.denoiser.visual_embeddings.in_layer.weight.dtype is torch.bfloat16
    assert family.denoiser.time_embeddings.in_layer.weight.dtype is torch.float32
    seen = []
    family.denoiser.time_embeddings.register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    text = {k: torch.zeros(2, *shape) for k, shape in family.probe_text().items()}
    with torch.no_grad():
        family.forward(random_latents(family), torch.tensor([0.513, 0.515]), told(text))
    torch.testing.assert_close(seen[0], torch.tensor([513.0, 515.0]))


def test_a_model_that_looks_at_a_picture_is_refused(tiny_model, tmp_path):
    """It has twice the channels and one, which nothing fills here."""
    folder = shutil.copytree(tiny_model(KEY), tmp_path / "i2i")
    path = folder / "transformer" / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"visual_cond": True}))
    with pytest.raises(ConfigError, match="ENV002"):
        tiny_family(KEY, folder, "denoiser")


@pytest.mark.parametrize("flavour", ["t2i-lite-sft", "t2i-lite-pretrain"])
def test_flavours(flavour, tmp_path):
    """The finished checkpoint and the one before it, by the names that users know."""
    text = f'[model]\nfamily = "{KEY}"\nflavour = "{flavour}"\n[train]\nsteps = 1\n'
    config = resolve(text, base_dir=tmp_path, env={}).config
    assert config is not None
    name = flavour.rpartition("-")[2]
    assert config.model.path == f"kandinskylab/Kandinsky-5.0-T2I-Lite-{name}-Diffusers"
    assert (config.noise.sampling, config.noise.shift) == ("sigmoid", 3.0)
