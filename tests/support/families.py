"""Families around tiny models, ready to use in a test."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from tests.support.kinds import IN_COMFYUI, KINDS, kind_of, layouts_of
from tests.support.tiny import save
from trainer import catalog
from trainer.config.schema.root import JobConfig
from trainer.models.base import Family, build_family
from trainer.models.condition import Condition

__all__ = ["IN_COMFYUI", "KINDS", "WITHOUT_BLOCKS", "kind_of", "layouts_of"]

WITHOUT_BLOCKS = ("deepfloyd", "stable_cascade")  # no class of theirs names repeated blocks


def make_tiny(kind: str, out_dir: Path, *, seed: int = 0) -> Path:
    """The tiny pipeline of a kind, saved; returns its folder."""
    return save(kind_of(kind).build, out_dir, seed=seed)


def diffusers_pipeline(kind: str, path: Path) -> Any:
    """The family's own pipeline class on a saved tiny model, as a user loads it."""
    cls = catalog.load_class(catalog.family_facts(kind).pipeline_class)
    return cls.from_pretrained(path, **kind_of(kind).loading)


def tiny_config(kind: str, path: Path, **changes: Any) -> JobConfig:
    model = {"family": kind, "path": str(path), **kind_of(kind).model}
    data = {"model": model | changes.pop("model", {}), "train": {"steps": 1}} | changes
    return JobConfig.model_validate(data)


def tiny_family(kind: str, path: Path, *which: str, **changes: Any) -> Family:
    """A family in fp32 on the CPU with the named component groups loaded."""
    config = tiny_config(kind, path, **changes)
    family = build_family(config, torch.device("cpu"), torch.float32)
    for name in which:
        family.load(name)  # type: ignore[arg-type]
    return family


def edge(kind: str) -> int:
    """Pixels along one side of the suite's pictures."""
    pixels = kind_of(kind).side * kind_of(kind).factor
    assert pixels == int(pixels)
    return int(pixels)


def random_latents(family: Family, count: int = 2, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    side = kind_of(family.facts.key).side
    return torch.randn(count, family.latent_channels, side, side, generator=generator)


def some_times(family: Family, count: int = 2) -> Tensor:
    if family.alphas_cumprod is None:
        return torch.linspace(0.2, 0.9, count)
    return torch.linspace(50, 900, count).long()


def some_sizes(count: int = 2) -> Tensor:
    return torch.tensor([[32, 32, 0, 0, 32, 32]] * count)


def told(text: Any, count: int = 2) -> Condition:
    """A condition of text and some sizes."""
    return Condition(text, some_sizes(count))
