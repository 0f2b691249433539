"""What is Kolors' own: a left-padded ChatGLM of 256 tokens, 1100 times, a projected text."""

from __future__ import annotations

import json
import shutil

import pytest
import torch

from tests.support.families import random_latents, some_times, tiny_config, tiny_family, told
from tests.support.kinds.kolors import build as tiny_kolors
from trainer.errors import ConfigError
from trainer.models.request import ImageRequest
from trainer.objective.compose import build_objective

WORDS = "a green tree and a blue car in the rain "


def entry_of(family, caption: str) -> dict[str, torch.Tensor]:
    return family.encode_text([caption])[0]


def test_words_beyond_the_77th_token_count(tiny_model):
    """256 tokens are read: captions that differ in their 150th alone differ for the model."""
    family = tiny_family("kolors", tiny_model("kolors"), "text")
    long = WORDS * 8
    tokens = len(family.tokenizers["tokenizer"](long)["input_ids"])
    assert 150 < tokens < 250
    one, other = entry_of(family, long + "apple"), entry_of(family, long + "yellow")
    assert one["prompt_embeds"].shape[0] == 256
    assert (one["prompt_embeds"] - other["prompt_embeds"]).abs().max() > 1e-3
    assert (one["pooled_prompt_embeds"] - other["pooled_prompt_embeds"]).abs().max() > 1e-3


def test_padding_lies_left_and_positions_are_told(tiny_model):
    """The last token is the caption's; without its position ids the encoder says something else."""
    family = tiny_family("kolors", tiny_model("kolors"), "text")
    tokenizer, encoder = family.tokenizers["tokenizer"], family.modules["text_encoder"]
    said = tokenizer(
        ["a red apple"], padding="max_length", max_length=256, truncation=True, return_tensors="pt"
    )
    assert said["attention_mask"][0, 0] == 0
    assert said["attention_mask"][0, -1] == 1
    real = int(said["attention_mask"].sum())
    assert said["position_ids"][0, -real:].tolist() == list(range(real))
    with torch.no_grad():
        told = encoder(**said, output_hidden_states=True).hidden_states
        del said["position_ids"]
        untold = encoder(**said, output_hidden_states=True).hidden_states
    entry = entry_of(family, "a red apple")
    torch.testing.assert_close(entry["prompt_embeds"], told[-2][:, 0])
    torch.testing.assert_close(entry["pooled_prompt_embeds"], told[-1][-1, 0])
    assert (told[-2] - untold[-2]).abs().max() > 1e-3


def test_all_1100_times_are_trained(tiny_model):
    """The schedule is the checkpoint's own: 1100 times, with Kolors' noisier end."""
    from diffusers import DDPMScheduler

    family = tiny_family("kolors", tiny_model("kolors"))
    own = DDPMScheduler.from_pretrained(tiny_model("kolors"), subfolder="scheduler")
    assert torch.equal(family.alphas_cumprod, own.alphas_cumprod)
    config = tiny_config("kolors", tiny_model("kolors"))
    objective = build_objective(config.noise, config.loss, family)
    ids = list(range(400))
    times = objective.draw(torch.zeros(400, 4, 2, 2), 1, ids, ids).time
    assert len(own.alphas_cumprod) == 1100
    assert 1000 < int(times.max()) < 1100


def test_an_empty_caption_is_encoded_unless_the_checkpoint_says_zeros(tiny_model, tmp_path):
    """The pipeline's default differs from SDXL's: nothing said is no zeros."""
    family = tiny_family("kolors", tiny_model("kolors"), "text")
    assert entry_of(family, "")["prompt_embeds"].any()
    folder = shutil.copytree(tiny_model("kolors"), tmp_path / "zeros")
    index = folder / "model_index.json"
    said = json.loads(index.read_text()) | {"force_zeros_for_empty_prompt": True}
    index.write_text(json.dumps(said))
    zeros = tiny_family("kolors", folder, "text")
    assert not entry_of(zeros, "")["prompt_embeds"].any()
    assert zeros.identity("text") != family.identity("text")


@pytest.mark.parametrize("guidance", [1.0, 5.0])
def test_sampling_equals_the_pipeline_with_words(guidance, tiny_model):
    """Cached text draws what the whole pipeline draws from the captions."""
    from diffusers import KolorsPipeline

    family = tiny_family("kolors", tiny_model("kolors"), "text", "vae", "denoiser")
    text, negative = family.encode_text(["a red apple", "a blue car in the rain"])

    def request() -> ImageRequest:
        return ImageRequest(
            width=32,
            height=64,
            steps=4,
            guidance=guidance,
            generator=torch.Generator().manual_seed(5),
            output_type="latent",
        )

    ours = family.pipeline()
    theirs = KolorsPipeline.from_pretrained(tiny_model("kolors"))
    for pipe in (ours, theirs):
        pipe.set_progress_bar_config(disable=True)
    found = ours(**family.pipeline_kwargs(text, negative, request())).images
    expected = theirs(
        "a red apple",
        negative_prompt="a blue car in the rain",
        guidance_scale=guidance,
        **family.request_kwargs(request()),
    ).images
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize(("family", "folder"), [("sdxl", "kolors"), ("kolors", "sdxl")])
def test_kolors_and_sdxl_are_told_apart(family, folder, tiny_model):
    """One class, one shape of conditions: the projection of the text tells the two apart."""
    with pytest.raises(ConfigError, match="ENV002"):
        tiny_family(family, tiny_model(folder), "denoiser")


def test_the_text_is_projected_by_the_trained_network(tmp_path):
    """The width of the text is the encoder's, not that of the attention."""
    torch.manual_seed(1)
    tiny_kolors().save_pretrained(tmp_path / "model")
    family = tiny_family("kolors", tmp_path / "model", "denoiser")
    assert family.probe_text()["prompt_embeds"] == (8, 32)
    assert family.denoiser.config.cross_attention_dim == 24
    text = {name: torch.randn(2, *shape) for name, shape in family.probe_text().items()}
    out = family.forward(random_latents(family), some_times(family), told(text))
    assert out.isfinite().all()
