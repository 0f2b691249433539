"""Stable Diffusion 2.x: what a checkpoint predicts is the checkpoint's word, also for its files."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open

from tests.support.families import random_latents, tiny_config, tiny_family
from trainer.adapters.build import build_trainable
from trainer.catalog.facts import Prediction
from trainer.catalog.families.sd2x import FACTS
from trainer.config.resolve import resolve
from trainer.objective.compose import build_objective


@pytest.fixture
def checkpoint(tiny_model, tmp_path):
    """A copy of the tiny model with another scheduler configuration; None takes a key out."""

    def make(**changes: object) -> Path:
        folder = shutil.copytree(tiny_model("sd2x"), tmp_path / "copy")
        path = folder / "scheduler" / "scheduler_config.json"
        merged = json.loads(path.read_text()) | changes
        path.write_text(json.dumps({k: v for k, v in merged.items() if v is not None}))
        return folder

    return make


EPSILON = {"prediction_type": "epsilon", "rescale_betas_zero_snr": None, "timestep_spacing": None}


def test_the_large_checkpoints_predict_v(tiny_model):
    """The target is diffusers' velocity, down to times at which nothing but noise is left."""
    from diffusers import DDPMScheduler

    family = tiny_family("sd2x", tiny_model("sd2x"), "vae", "denoiser")
    assert family.prediction is Prediction.V
    assert family.pipeline().scheduler.config.prediction_type == "v_prediction"
    config = tiny_config("sd2x", tiny_model("sd2x"))
    x0, time = random_latents(family, 3), torch.tensor([0, 500, 999])
    noise = torch.randn_like(x0)
    corrupted = build_objective(config.noise, config.loss, family).corrupt(x0, noise, time)
    theirs: Any = DDPMScheduler.from_pretrained(tiny_model("sd2x"), subfolder="scheduler")
    torch.testing.assert_close(corrupted.target, theirs.get_velocity(x0, noise, time))
    torch.testing.assert_close(corrupted.noisy, theirs.add_noise(x0, noise, time))
    assert torch.equal(corrupted.noisy[2], noise[2])


def test_the_base_checkpoints_predict_epsilon(checkpoint):
    """Same class, another scheduler file: noise is the target, in training and in sampling."""
    folder = checkpoint(**EPSILON)
    family = tiny_family("sd2x", folder, "vae", "denoiser")
    assert family.prediction is Prediction.EPSILON
    assert family.pipeline().scheduler.config.prediction_type == "epsilon"
    assert family.alphas_cumprod[-1] > 0
    config = tiny_config("sd2x", folder)
    x0, noise = random_latents(family), random_latents(family, seed=1)
    objective = build_objective(config.noise, config.loss, family)
    assert torch.equal(objective.corrupt(x0, noise, torch.tensor([10, 900])).target, noise)


def test_a_silent_scheduler_file_means_epsilon(checkpoint):
    """As every program reads it that samples with diffusers; v has to be said."""
    from diffusers import DDPMScheduler

    folder = checkpoint(prediction_type=None)
    theirs: Any = DDPMScheduler.from_pretrained(folder, subfolder="scheduler")
    assert tiny_family("sd2x", folder).prediction == theirs.config.prediction_type == "epsilon"


@pytest.mark.parametrize(
    ("changes", "architecture", "size"),
    [
        ({}, "stable-diffusion-v2-768-v/lora", "768x768"),
        (EPSILON, "stable-diffusion-v2-512/lora", "512x512"),
    ],
)
def test_adapter_files_tell_the_two_kinds_apart(changes, architecture, size, checkpoint, tmp_path):
    """A program that picks the sampler by the header picks the right one."""
    folder = checkpoint(**changes)
    family = tiny_family("sd2x", folder, "denoiser")
    config = tiny_config("sd2x", folder, adapter={"rank": 4})
    lora = build_trainable(config, family, torch.float32)
    path = {f.layout: f for f in lora.save(tmp_path / "out", step=0)}["comfyui"].path
    with safe_open(path, "pt") as file:
        header = file.metadata()
    assert header["modelspec.architecture"] == architecture
    assert header["modelspec.resolution"] == size


def test_flavours_bring_their_size():
    """Base flavours train at 512 pixels, the others at 768; each has a licence."""
    for name, flavour in FACTS.flavours.items():
        text = f"model.family = 'sd2x'\nmodel.flavour = '{name}'\ntrain.steps = 1\n"
        text += "[[data.datasets]]\nid = 'a'\npath = '.'\n"
        config = resolve(text, env={}).config
        assert config is not None
        small = name.endswith("-base")
        assert config.data.defaults.resolution == ("512px2" if small else "768px2")
        assert config.model.path == flavour.repo
        assert flavour.licence
