"""The exact training state at an optimiser-step boundary (beyond.md B01)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

TRAINABLE = "trainable.safetensors"
OPTIMIZER_TENSORS = "optimizer.safetensors"
OPTIMIZER = "optimizer.json"
EMA = "ema.safetensors"
PROGRESS = "progress.json"
MANIFEST = "manifest.json"
SCHEMA = "checkpoint/1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """Where the run stands; `data` is the sampler's own state."""

    step: int
    epoch: int
    samples: int
    loss_ema: float | None
    ema_count: int
    data: dict[str, Any]


@dataclass(slots=True, kw_only=True)
class TrainingState:
    """Everything a checkpoint holds; tensors on CPU when read back."""

    progress: Progress
    trainable: Mapping[str, Tensor]
    optimizer: dict[str, Any]
    ema: Mapping[str, Tensor] | None
    identity: dict[str, Any] = field(default_factory=dict)
