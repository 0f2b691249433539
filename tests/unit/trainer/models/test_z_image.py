"""What is Z-Image's own: lists of texts, no reading of the device, its guidance, its kin."""

from __future__ import annotations

import json
import shutil
from math import exp

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
from tests.support.on_meta import on_meta
from trainer.adapters.build import build_trainable
from trainer.config.resolve import resolve
from trainer.config.schema.loss import LossConfig
from trainer.config.schema.noise import NoiseConfig
from trainer.errors import ConfigError
from trainer.models.condition import Condition
from trainer.models.request import ImageRequest
from trainer.objective.compose import build_objective

CAPTIONS = [
    "a red apple",
    "a blue car in the rain beside a yellow taxi of the city of jinxes",
]


def loaded(tiny_model, *which: str, **model):
    return tiny_family("z_image", tiny_model("z_image"), *which, model=model)


def test_texts_of_different_length_do_not_touch_each_other(tiny_model):
    """A sample's prediction is the same alone and beside one with a longer text."""
    family = loaded(tiny_model, "text", "denoiser")
    entries = family.encode_text(CAPTIONS)
    both = family.collate_text(entries)
    assert both["lengths"].tolist() == [len(e["prompt_embeds"]) for e in entries]
    assert both["lengths"][0] <= 32 < both["lengths"][1]  # padded to other multiples, too
    noisy, time = random_latents(family), some_times(family)
    with torch.no_grad():
        together = family.forward(noisy, time, told(both))
        for n, entry in enumerate(entries):
            text = family.collate_text([entry])
            alone = family.forward(noisy[n : n + 1], time[n : n + 1], told(text, 1))
            torch.testing.assert_close(together[n : n + 1], alone, atol=1e-5, rtol=1e-4)
        cut = dict(both) | {"lengths": torch.tensor([both["lengths"][1]] * 2)}
        assert (together - family.forward(noisy, time, told(cut)))[0].abs().max() > 1e-4


def test_forward_never_looks_at_the_device(tiny_model):
    """On a device that holds no values a step runs from noised latents to the prediction."""
    family = loaded(tiny_model, "text", "denoiser")
    text = family.collate_text(family.encode_text(CAPTIONS))
    out = on_meta(family, text)
    assert out.device.type == "meta"
    assert out.shape == random_latents(family).shape


@pytest.mark.parametrize("guidance", [0.0, 1.0, 4.0])
def test_sampling_equals_the_pipeline_with_words(guidance, tiny_model):
    """Cached entries draw what the whole pipeline draws; guidance 1 is none, as everywhere here,
    though this pipeline's own numbers begin to guide above 0."""
    family = loaded(tiny_model, "text", "vae", "denoiser")
    text, negative = family.encode_text(CAPTIONS)
    request = ImageRequest(
        width=32,
        height=64,
        steps=3,
        guidance=guidance,
        generator=torch.Generator().manual_seed(5),
        output_type="latent",
    )
    kwargs = family.pipeline_kwargs(text, negative, request)
    ours = family.pipeline()
    theirs = diffusers_pipeline("z_image", tiny_model("z_image"))
    for pipe in (ours, theirs):
        pipe.set_progress_bar_config(disable=True)
    found = ours(**kwargs).images
    request.generator.manual_seed(5)
    expected = theirs(
        CAPTIONS[0],
        negative_prompt=CAPTIONS[1],
        guidance_scale=guidance if guidance > 1 else 0.0,
        max_sequence_length=64,
        **family.request_kwargs(request),
    ).images
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)


def test_the_omni_models_are_refused(tiny_model, tmp_path):
    """They share the class and look at pictures as well; their weights mean another task."""
    folder = shutil.copytree(tiny_model("z_image"), tmp_path / "copy")
    path = folder / "transformer" / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"siglip_feat_dim": 8}))
    with pytest.raises(ConfigError, match=r"ENV002.*siglip_feat_dim"):
        tiny_family("z_image", folder, "denoiser")


@pytest.mark.parametrize(
    ("size", "length", "axis"), [((68, 4), 8, "rows"), ((4, 68), 8, "columns"), ((4, 4), 225, "te")]
)
def test_beyond_the_table_of_positions(size, length, axis, tiny_model):
    """32 rows, 32 columns, 256 places for text: more is a finding, not an error in a kernel."""
    family = loaded(tiny_model, "denoiser")
    noisy = torch.randn(1, 16, *size)
    text = {"prompt_embeds": torch.randn(1, length, 16)}
    with pytest.raises(ConfigError, match=rf"CFG213.*{axis}"):
        family.forward(noisy, torch.tensor([0.5]), Condition(text, some_sizes(1)))
    fits = {"prompt_embeds": torch.randn(1, 224, 16)}
    within = torch.randn(1, 16, 64, 64)
    with torch.no_grad():
        out = family.forward(within, torch.tensor([0.5]), Condition(fits, some_sizes(1)))
    assert out.isfinite().all()


def test_modulation_is_that_of_the_blocks(tiny_model):
    """The last layer has an activation where blocks have their modulation."""
    family = loaded(tiny_model, "denoiser")
    config = tiny_config("z_image", tiny_model("z_image"), adapter={"preset": "all"})
    names = build_trainable(config, family, torch.float32).parameters()
    found = {n.split(".lora_")[0] for n in names if "adaLN" in n}
    blocks = ("layers.0", "layers.1", "noise_refiner.0")
    assert found == {f"{block}.adaLN_modulation.0" for block in blocks}


@pytest.mark.parametrize(
    ("flavour", "repo", "denoiser", "steps", "guidance"),
    [
        (None, "Tongyi-MAI/Z-Image-Turbo", None, 8, 0.0),
        ("turbo", "Tongyi-MAI/Z-Image-Turbo", None, 8, 0.0),
        ("base", "Tongyi-MAI/Z-Image", None, 30, 4.0),
        ("ostris-de-turbo", "Tongyi-MAI/Z-Image-Turbo", "ostris/Z-Image-De-Turbo", 25, 2.0),
    ],
)
def test_flavours(flavour, repo, denoiser, steps, guidance):
    """Each checkpoint comes with its own sampling, and the de-distilled transformer with Turbo's
    other parts."""
    named = f'flavour = "{flavour}"\n' if flavour else ""
    config = resolve(f'[model]\nfamily = "z_image"\n{named}', env={}).config
    assert config is not None
    assert (config.model.path, config.model.components.denoiser.path) == (repo, denoiser)
    assert (config.validation.steps, config.validation.guidance) == (steps, guidance)


@pytest.mark.parametrize(("kind", "side"), [("z_image", 2), ("lumina2", 2), ("sana", 1)])
def test_a_token_is_what_the_transformer_makes_one_of(kind, side, tiny_model):
    """The resolution shift counts tokens, and sizes are multiples of their pixels."""
    family = tiny_family(kind, tiny_model(kind))
    objective = build_objective(NoiseConfig(shift="auto"), LossConfig(), family)
    assert objective.factor(64 * side, 64 * side) == pytest.approx(exp(1.15))
    needed = family.facts.spatial_factor * side

    def codes(align: int) -> set[str]:
        text = f'[model]\nfamily = "{kind}"\n[data]\nalign = {align}\n'
        return {finding.code for finding in resolve(text, env={}).findings}

    assert "CFG147" not in codes(needed)
    assert "CFG147" in codes(needed // 2)
