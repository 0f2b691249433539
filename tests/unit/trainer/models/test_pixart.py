"""What is PixArt's own: hidden padding, the dropped variance, old class names, told sizes."""

from __future__ import annotations

import json
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.support.families import (
    random_latents,
    some_sizes,
    some_times,
    tiny_config,
    tiny_family,
    told,
)
from tests.support.kinds.pixart import build as tiny_pixart
from trainer.adapters.build import build_trainable
from trainer.config.resolve import resolve
from trainer.errors import ConfigError
from trainer.models.condition import Condition
from trainer.models.request import ImageRequest

CAPTIONS = ["a red apple", "a blue car in the rain"]


def request(guidance: float, output_type: str = "latent") -> ImageRequest:
    return ImageRequest(
        width=32,
        height=64,
        steps=4,
        guidance=guidance,
        generator=torch.Generator().manual_seed(5),
        output_type=output_type,
    )


def copy_with(tiny_model, tmp_path, **changes):
    """A copy whose transformer's configuration says something else."""
    folder = shutil.copytree(tiny_model("pixart"), tmp_path / "copy")
    path = folder / "transformer" / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
    return folder


def test_real_tokens_are_as_good_as_all(tiny_model):
    """Entries without padding give what the pipeline's padded text with its mask gives."""
    from diffusers import PixArtSigmaPipeline

    family = tiny_family("pixart", tiny_model("pixart"), "text", "denoiser")
    text = family.collate_text(family.encode_text(CAPTIONS))
    lengths = text["mask"].sum(1)
    assert lengths[0] < lengths[1] == text["mask"].shape[1] < 32
    pipe = PixArtSigmaPipeline.from_pretrained(tiny_model("pixart"))
    embeds, mask, _, _ = pipe.encode_prompt(CAPTIONS, False, max_sequence_length=32)
    padded = {"prompt_embeds": embeds, "mask": mask}
    noisy, time, sizes = random_latents(family), some_times(family), some_sizes()
    with torch.no_grad():
        ours = family.forward(noisy, time, Condition(text, sizes))
        theirs = family.forward(noisy, time, Condition(padded, sizes))
        shown = family.forward(noisy, time, Condition({"prompt_embeds": embeds}, sizes))
    torch.testing.assert_close(ours, theirs, atol=1e-6, rtol=1e-5)
    assert (ours - shown).abs().max() > 1e-4


@pytest.mark.parametrize("guidance", [1.0, 4.5])
def test_sampling_equals_the_pipeline_with_words(guidance, tiny_model):
    """Cached entries of two lengths draw what the whole pipeline draws from the captions."""
    from diffusers import PixArtSigmaPipeline

    family = tiny_family("pixart", tiny_model("pixart"), "text", "vae", "denoiser")
    text, negative = family.encode_text(CAPTIONS)
    asked = request(guidance)
    ours = family.pipeline()
    theirs = PixArtSigmaPipeline.from_pretrained(tiny_model("pixart"))
    theirs.scheduler = ours.scheduler
    for pipe in (ours, theirs):
        pipe.set_progress_bar_config(disable=True)
    found = ours(**family.pipeline_kwargs(text, negative, asked)).images
    expected = theirs(
        CAPTIONS[0],
        negative_prompt=CAPTIONS[1],
        guidance_scale=guidance,
        max_sequence_length=32,
        use_resolution_binning=False,
        clean_caption=False,
        **family.request_kwargs(request(guidance)),
    ).images
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)


def test_the_variance_gets_no_gradient(tiny_model):
    """Full training leaves the unused half of the output as it was loaded."""
    family = tiny_family("pixart", tiny_model("pixart"), "text", "denoiser")
    family.denoiser.requires_grad_(True).train()
    text = family.collate_text(family.encode_text(CAPTIONS))
    out = family.forward(random_latents(family), some_times(family), told(text))
    assert out.shape[1] == 4
    out.square().mean().backward()
    gradient = family.denoiser.proj_out.weight.grad.view(4, 8, -1)  # [patch, channel, width]
    assert gradient[:, :4].any()
    assert not gradient[:, 4:].any()


def test_a_solver_of_learned_variance_is_told_not_to_cut(tiny_model, tmp_path):
    """A schedule that says `learned_range` would make the solver drop channels once more."""
    folder = shutil.copytree(tiny_model("pixart"), tmp_path / "copy")
    path = folder / "scheduler" / "scheduler_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"variance_type": "learned_range"}))
    family = tiny_family("pixart", folder, "text", "vae", "denoiser")
    text, negative = family.encode_text(CAPTIONS)
    pipe = family.pipeline()
    pipe.set_progress_bar_config(disable=True)
    picture = pipe(**family.pipeline_kwargs(text, negative, request(3.0, "pil"))).images[0]
    assert picture.size == (32, 64)


def test_the_old_class_name_is_known(tiny_model, tmp_path):
    """The first published configurations say Transformer2DModel."""
    folder = copy_with(tiny_model, tmp_path, _class_name="Transformer2DModel")
    family = tiny_family("pixart", folder, "denoiser")
    whole = tiny_family("pixart", tiny_model("pixart"), "denoiser")
    pairs = zip(family.denoiser.parameters(), whole.denoiser.parameters(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)


@pytest.mark.parametrize(
    "changes",
    [
        {"_class_name": "Transformer2DModel", "norm_type": "ada_norm_zero"},
        {"_class_name": "DiTTransformer2DModel"},
        {"in_channels": 9},
        {"out_channels": 12},
    ],
)
def test_kin_and_other_tasks_are_refused(changes, tiny_model, tmp_path):
    """DiT shared the old name; channels that are neither once nor twice mean another task."""
    with pytest.raises(ConfigError, match="ENV002"):
        tiny_family("pixart", copy_with(tiny_model, tmp_path, **changes), "denoiser")


def test_a_single_file_must_be_whole(tiny_model, tmp_path):
    """diffusers converts no single file of this class; a lacking tensor is named all the same."""
    folder = tiny_model("pixart")
    tensors = load_file(next((folder / "transformer").glob("*.safetensors")))
    del tensors["proj_out.weight"]
    single = tmp_path / "model.safetensors"
    save_file(tensors, single)
    changes = {"components": {"denoiser": {"path": str(single)}}}
    with pytest.raises(ConfigError, match=r"ENV003.*proj_out\.weight"):
        tiny_family("pixart", folder, "denoiser", model=changes)


def test_checkpoints_that_are_told_the_size(tmp_path):
    """A configuration that leaves it open means yes at sample size 128: training and sampling."""
    folder = tmp_path / "sized"
    torch.manual_seed(0)
    tiny_pixart(sample_size=128, use_additional_conditions=None).save_pretrained(folder)
    family = tiny_family("pixart", folder, "text", "vae", "denoiser")
    assert family.denoiser.use_additional_conditions
    text = family.collate_text(family.encode_text(CAPTIONS))
    noisy, time = random_latents(family), some_times(family)
    sizes = torch.tensor([[9, 9, 0, 0, 32, 64], [9, 9, 0, 0, 64, 32]])
    told = {
        "resolution": torch.tensor([[32.0, 64.0], [64.0, 32.0]]),
        "aspect_ratio": torch.tensor([[0.5], [2.0]]),
    }
    with torch.no_grad():
        ours = family.forward(noisy, time, Condition(text, sizes))
        theirs = family.denoiser(
            noisy,
            encoder_hidden_states=text["prompt_embeds"],
            encoder_attention_mask=text["mask"],
            timestep=time,
            added_cond_kwargs=told,
        ).sample[:, :4]
        other = family.forward(noisy, time, Condition(text, sizes.flip(0)))
    assert torch.equal(ours, theirs)
    assert not torch.equal(ours, other)
    entry, negative = family.encode_text(CAPTIONS)
    pipe = family.pipeline()
    pipe.set_progress_bar_config(disable=True)
    picture = pipe(**family.pipeline_kwargs(entry, negative, request(3.0, "pil"))).images[0]
    assert picture.size == (32, 64)


def test_zero_terminal_snr_reaches_the_solver(tiny_model):
    """Training and sampling end in the same noise."""
    model = {"zero_terminal_snr": True, "prediction_type": "v_prediction"}
    family = tiny_family("pixart", tiny_model("pixart"), "text", "vae", "denoiser", model=model)
    assert family.alphas_cumprod[-1] == 0
    text, negative = family.encode_text(CAPTIONS)
    pipe = family.pipeline()
    assert pipe.scheduler.config.prediction_type == "v_prediction"
    pipe.set_progress_bar_config(disable=True)
    assert pipe(**family.pipeline_kwargs(text, negative, request(3.0))).images.isfinite().all()


@pytest.mark.parametrize(
    ("flavour", "denoiser", "resolution"),
    [
        ("600M-512", "PixArt-alpha/PixArt-Sigma-XL-2-512-MS", "512px2"),
        ("600M-1024", None, "1024px2"),
        ("600M-2048", "PixArt-alpha/PixArt-Sigma-XL-2-2K-MS", "2048px2"),
    ],
)
def test_flavours_bring_their_transformer_and_size(flavour, denoiser, resolution):
    """Repositories of a transformer alone take the rest from that of 1024 pixels."""
    config = resolve(f'[model]\nfamily = "pixart"\nflavour = "{flavour}"\n', env={}).config
    assert config is not None
    assert config.model.path == "PixArt-alpha/PixArt-Sigma-XL-2-1024-MS"
    assert config.model.components.denoiser.path == denoiser
    assert str(config.data.defaults.resolution) == resolution
    assert config.optimizer.clip == 0.01


def test_an_adapter_leaves_the_class_name(tiny_model, tmp_path):
    """The mixin that takes adapters shows in no saved configuration."""
    family = tiny_family("pixart", tiny_model("pixart"), "denoiser")
    build_trainable(tiny_config("pixart", tiny_model("pixart")), family, torch.float32)
    family.denoiser.save_config(tmp_path)
    saved = json.loads((tmp_path / "config.json").read_text())
    assert saved["_class_name"] == "PixArtTransformer2DModel"
