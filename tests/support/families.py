"""Families around tiny models, ready to use in a test."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from trainer.config.schema.root import JobConfig
from trainer.models.base import Family, build_family

KINDS = ("sd1x", "sd2x", "sdxl", "flux", "sd3", "pixart")


def tiny_config(kind: str, path: Path, **changes: Any) -> JobConfig:
    model: dict[str, Any] = {"family": kind, "path": str(path)}
    if kind in ("flux", "sd3", "pixart"):
        model["max_tokens"] = 32
    data = {"model": model | changes.pop("model", {}), "train": {"steps": 1}} | changes
    return JobConfig.model_validate(data)


def tiny_family(kind: str, path: Path, *which: str, **changes: Any) -> Family:
    """A family in fp32 on the CPU with the named component groups loaded."""
    config = tiny_config(kind, path, **changes)
    family = build_family(config, torch.device("cpu"), torch.float32)
    for name in which:
        family.load(name)  # type: ignore[arg-type]
    return family


def random_latents(family: Family, count: int = 2, size: int = 16, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(count, family.facts.latent_channels, size, size, generator=generator)


def some_times(family: Family, count: int = 2) -> Tensor:
    if family.alphas_cumprod is None:
        return torch.linspace(0.2, 0.9, count)
    return torch.linspace(50, 900, count).long()


def some_sizes(count: int = 2) -> Tensor:
    return torch.tensor([[32, 32, 0, 0, 32, 32]] * count)
