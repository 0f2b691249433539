"""What is LongCat-Image's own: letters in quotation marks, 512 tokens, positions behind them."""

from __future__ import annotations

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
from trainer.config.resolve import resolve


@pytest.fixture
def family(tiny_model):
    return tiny_family("longcat_image", tiny_model("longcat_image"), "text", "vae", "denoiser")


def test_words_in_quotation_marks_are_read_letter_by_letter(family):
    """The encoder hears the letters of what is to be written, and words of everything else."""
    heard = []
    encoder = family.modules["text_encoder"]
    encoder.register_forward_pre_hook(
        lambda _, args, kwargs: heard.append(kwargs["input_ids"]), with_kwargs=True
    )
    family.encode_text(['a red car with "apple" on it'])
    tokenizer = family.tokenizers["tokenizer"]

    def ids(*parts: str) -> list[int]:
        return [i for part in parts for i in tokenizer(part).input_ids]

    expected = ids("a red car with ", *'"apple"', " on it")
    whole = ids('a red car with "apple" on it')
    assert len(expected) > len(whole)
    before = len(ids(family._pipeline(text=True).prompt_template_encode_prefix))
    read = heard[0][0, before : before + 512].tolist()
    assert read == expected + [tokenizer.pad_token_id] * (512 - len(expected))


@pytest.mark.parametrize("caption", ["", "a red apple", "a red apple " * 400])
def test_text_is_always_512_tokens(caption, family):
    """An empty caption is filled up, a long one cut."""
    assert family.encode_text([caption])[0]["prompt_embeds"].shape == (512, 16)


def test_positions_of_the_picture_follow_the_text(tiny_model):
    """Each its own, also in bf16, which knows no whole numbers between 512 and 516."""
    model = {"components": {"denoiser": {"dtype": "bf16"}}}
    family = tiny_family("longcat_image", tiny_model("longcat_image"), "denoiser", model=model)
    seen = []
    family.denoiser.pos_embed.register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    with torch.no_grad():
        family.forward(
            random_latents(family)[..., :8, :8],
            some_times(family),
            told({"prompt_embeds": torch.randn(2, 512, 16)}),
        )
    rows = [tuple(row) for row in seen[0].tolist()]
    assert rows[:512] == [(0, i, i) for i in range(512)]
    assert rows[512:] == [(1, 512 + y, 512 + x) for y in range(4) for x in range(4)]


def test_guidance_is_the_pipelines_own(family, tiny_model):
    """From cached text the picture is the one that the whole pipeline draws from prompts."""
    text, negative = family.encode_text(["a red apple", "a blue car"])
    family.unload("text")
    ours = draw(family, text, negative, request(32, 4.0))
    pipe = diffusers_pipeline("longcat_image", tiny_model("longcat_image"))
    pipe.set_progress_bar_config(disable=True)
    theirs = pipe(
        "a red apple",
        negative_prompt="a blue car",
        width=32,
        height=32,
        num_inference_steps=3,
        guidance_scale=4.0,
        generator=torch.Generator().manual_seed(4),
        enable_prompt_rewrite=False,
        output_type="latent",
    ).images
    torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=1e-4)
    plain = draw(family, text, negative, request(32, 1.0))
    assert (ours - plain).abs().max() > 1e-4
    assert torch.equal(plain, draw(family, text, None, request(32, 4.0)))


@pytest.mark.parametrize(
    ("flavour", "repo"),
    [(None, "meituan-longcat/LongCat-Image"), ("dev", "meituan-longcat/LongCat-Image-Dev")],
)
def test_flavours(flavour, repo, tmp_path):
    """The finished checkpoint unless the one for fine-tuning is named."""
    named = f'flavour = "{flavour}"\n' if flavour else ""
    text = f'[model]\nfamily = "longcat_image"\n{named}[train]\nsteps = 1\n'
    config = resolve(text, base_dir=tmp_path, env={}).config
    assert config is not None
    assert config.model.path == repo
    assert (config.noise.sampling, config.noise.shift) == ("sigmoid", 3.0)
