"""Run a generator by name, and name what it does for cache keys."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from hashlib import blake2b
from typing import Any

import torch
from PIL import Image

from trainer.catalog import load
from trainer.catalog.generators import GENERATORS, filled
from trainer.rng import stream_seed

Generate = Callable[[Image.Image, int], Image.Image]
"""A picture and its seed to a picture of the same size: RGB, or L for a mask."""


def open_generator(name: str, options: Mapping[str, Any], device: torch.device) -> Generate:
    """The generator with these settings; one with a model loads it on `device`.

    Drop it when the dataset is done: that frees the model.
    """
    entry = GENERATORS[name]
    values = filled(entry.options, options)
    code = load(entry.path)
    if isinstance(code, type):
        return code(values, device)
    return lambda picture, seed: code(picture, values, seed)


def generator_identity(name: str, options: Mapping[str, Any], *, seed: int) -> str:
    """What the pixels of a partner depend on, apart from its sample: part of its cache key.

    The run's seed belongs to it only where the generator draws; a model counts by its weights,
    not by the name of its folder.
    """
    entry = GENERATORS[name]
    values = filled(entry.options, options)
    for key, option in entry.options.items():
        if option.path:
            from trainer.data.conditioning.depth import weights_digest

            values[key] = weights_digest(values[key])
    told = (entry.version, sorted(values.items()), seed if entry.draws else None)
    return f"{name}/{blake2b(repr(told).encode(), digest_size=12).hexdigest()}"


def partner_seed(seed: int, content: bytes, name: str) -> int:
    """Seed of what a generator draws for one sample, from the run's seed and the sample's bytes."""
    return stream_seed(seed, int.from_bytes(content, "little"), 0, f"generate:{name}")
