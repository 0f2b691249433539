"""Depth by a model from disk, of the real classes and with random weights."""

from __future__ import annotations

import gc
import json
import weakref
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from tests.unit.trainer.data.conditioning.test_generators import picture
from trainer.data.conditioning.generate import generator_identity, open_generator
from trainer.errors import ConfigError

CPU = torch.device("cpu")
PROCESSOR = {
    "image_processor_type": "DPTImageProcessor",
    "size": {"height": 56, "width": 56},
    "ensure_multiple_of": 14,
    "keep_aspect_ratio": True,
    "image_mean": [0.485, 0.456, 0.406],
    "image_std": [0.229, 0.224, 0.225],
}


def tiny(folder: Path, *, metric: bool = False) -> Path:
    """A Depth Anything of 36 thousand parameters."""
    from transformers import (
        DepthAnythingConfig,
        DepthAnythingForDepthEstimation,
        Dinov2Config,
    )

    backbone = Dinov2Config(
        hidden_size=16,
        num_hidden_layers=4,
        num_attention_heads=2,
        image_size=28,
        patch_size=14,
        out_features=["stage1", "stage2", "stage3", "stage4"],
        reshape_hidden_states=False,
        apply_layernorm=True,
    )
    config = DepthAnythingConfig(
        backbone_config=backbone,
        reassemble_hidden_size=16,
        neck_hidden_sizes=[4, 4, 8, 8],
        fusion_hidden_size=8,
        head_hidden_size=8,
        depth_estimation_type="metric" if metric else "relative",
        max_depth=5,
    )
    with torch.random.fork_rng():
        torch.manual_seed(1)
        model = DepthAnythingForDepthEstimation(config)
        for parameter in model.parameters():  # else the depth is flat to the last digit
            if parameter.ndim > 1:
                parameter.data.normal_(0.0, 0.3)
        model.head.conv3.weight.data.abs_().mul_(3e-4)  # negative depths are cut off
    model.save_pretrained(folder)
    (folder / "preprocessor_config.json").write_text(json.dumps(PROCESSOR))
    return folder


def depth_of(folder: Path, image: Image.Image, **options: bool) -> np.ndarray:
    made = open_generator("depth", {"model": str(folder), **options}, CPU)(image, 0)
    assert made.size == image.size
    assert made.mode == "RGB"
    return np.asarray(made)[..., 0].astype(np.int64)


def test_near_is_white_and_the_range_is_full(tmp_path: Path):
    """The grey levels are the model's own output, stretched to 0..255."""
    from transformers import AutoImageProcessor, AutoModelForDepthEstimation

    folder, image = tiny(tmp_path / "m"), picture(90, 60)
    grey = depth_of(folder, image)
    assert grey.min() == 0
    assert grey.max() == 255
    processor = AutoImageProcessor.from_pretrained(folder, backend="pil")
    model = AutoModelForDepthEstimation.from_pretrained(folder)
    with torch.no_grad():
        raw = model(**processor(images=image, return_tensors="pt")).predicted_depth
    size = (image.height, image.width)
    near = torch.nn.functional.interpolate(raw[None], size, mode="bilinear")[0, 0].numpy()
    assert np.corrcoef(near.ravel(), grey.ravel())[0, 1] > 0.9999
    turned = depth_of(folder, image, invert=True)
    assert np.abs(turned - (255 - grey)).max() <= 1


def test_a_model_of_distances_is_turned_round(tmp_path: Path):
    """Metric models give metres: far is much, so it must become black."""
    from transformers import AutoModelForDepthEstimation

    folder, image = tiny(tmp_path / "m", metric=True), picture(56, 56)
    assert AutoModelForDepthEstimation.from_pretrained(folder).config.max_depth == 5
    metric = depth_of(folder, image)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"depth_estimation_type": "relative"}))
    relative = depth_of(folder, image)
    assert np.corrcoef(metric.ravel(), relative.ravel())[0, 1] < -0.5


def test_other_weights_are_another_identity_and_another_place_is_not(tmp_path: Path):
    """The cache follows the model's bytes."""
    first = tiny(tmp_path / "a")
    copy = tiny(tmp_path / "b")
    names = [generator_identity("depth", {"model": str(f)}, seed=1) for f in (first, copy)]
    assert names[0] == names[1]
    weights = load_file(copy / "model.safetensors")
    weights["head.conv3.bias"] = weights["head.conv3.bias"] + 1.0
    save_file(weights, copy / "model.safetensors", metadata={"format": "pt"})
    assert generator_identity("depth", {"model": str(copy)}, seed=1) != names[0]


def test_a_dropped_generator_frees_its_model(tmp_path: Path):
    """It must not stay in memory beside the model that is trained."""
    generate = open_generator("depth", {"model": str(tiny(tmp_path / "m"))}, CPU)
    model = weakref.ref(generate._model)  # type: ignore[attr-defined]
    del generate
    gc.collect()
    assert model() is None


def test_a_model_that_cannot_be_had_is_told(tmp_path: Path):
    """No such folder, no weights in it, or not all of them."""
    with pytest.raises(ConfigError, match="not a folder") as error:
        depth_of(tmp_path / "nowhere", picture())
    assert error.value.finding.code == "ENV001"
    (tmp_path / "empty").mkdir()
    with pytest.raises(ConfigError) as error:
        depth_of(tmp_path / "empty", picture())
    assert error.value.finding.code == "ENV001"
    folder = tiny(tmp_path / "m")
    weights = load_file(folder / "model.safetensors")
    del weights["head.conv3.weight"]
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ConfigError, match=r"head\.conv3\.weight") as error:
        depth_of(folder, picture())
    assert error.value.finding.code == "ENV003"
