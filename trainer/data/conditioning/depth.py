"""Depth pictures by a model of transformers (DPT, Depth Anything and their kin).

The model is one that the job names: there is no default to download behind anybody's back. It
stays loaded as long as the object lives, so whoever encodes a dataset drops it before training.
"""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from trainer.errors import ConfigError
from trainer.findings import finding
from trainer.models.identity import fingerprint
from trainer.models.load import attempt
from trainer.models.source import download, missing

WHERE = "data.datasets[].conditioning[].options.model"
FILES = ("*.json", "*.safetensors")


class Depth:
    """A loaded model; called with a picture it gives grey levels, near white and far black."""

    def __init__(self, options: Mapping[str, Any], device: torch.device) -> None:
        from transformers import AutoImageProcessor, AutoModelForDepthEstimation

        folder = model_folder(options["model"])

        def load() -> tuple[Any, Any, dict[str, Any]]:
            processor = AutoImageProcessor.from_pretrained(folder, backend="pil")
            model, info = AutoModelForDepthEstimation.from_pretrained(
                folder, dtype=torch.float32, output_loading_info=True
            )
            return processor, model, info

        self._processor, model, info = attempt(str(folder), WHERE, load)
        if info["missing_keys"]:
            raise _incomplete(folder, sorted(info["missing_keys"]))
        self._model = model.to(device).eval()
        self._device = device
        # Most models give nearness; those trained on metres give distance.
        distance = getattr(model.config, "depth_estimation_type", "relative") == "metric"
        self._turned = distance != options["invert"]

    @torch.no_grad()
    def __call__(self, picture: Image.Image, seed: int) -> Image.Image:
        """RGB of the picture's size; least and greatest value of each picture span the range."""
        pixels = self._processor(images=picture.convert("RGB"), return_tensors="pt")["pixel_values"]
        found: Tensor = self._model(pixels.to(self._device)).predicted_depth  # [1, h, w]
        size = (picture.height, picture.width)
        full = torch.nn.functional.interpolate(found[None].float(), size, mode="bilinear")[0, 0]
        if self._turned:
            full = -full
        levels = (full - full.min()) / (full.max() - full.min()).clamp_min(1e-12)
        grey = (levels * 255.0).round().cpu().numpy().astype(np.uint8)
        return Image.fromarray(grey).convert("RGB")


def model_folder(model: str) -> Path:
    """The local folder of a model, brought from the hub when it is a hub id."""
    folder = Path(model).expanduser()
    if folder.is_dir():
        return folder
    if folder.is_absolute() or model.startswith("."):
        raise missing(model, "the path is not a folder", WHERE)
    return download(model, None, FILES, WHERE)


def weights_digest(model: str) -> str:
    """Digest of the configuration and weights of a model, for cache keys."""
    hasher = blake2b(digest_size=12)
    folder = model_folder(model)
    for file in sorted(path for pattern in FILES for path in folder.glob(pattern)):
        hasher.update(file.name.encode())
        hasher.update(fingerprint(file))
    return hasher.hexdigest()


def _incomplete(folder: Path, absent: list[str]) -> ConfigError:
    return ConfigError(
        finding(
            "ENV003",
            f"{folder} lacks {len(absent)} tensors of the depth model, first {absent[0]}",
            where=WHERE,
            why="random numbers in their place would give random depths",
            fix="download the model again, or name another one",
        )
    )
