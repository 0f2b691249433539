"""Device, precision and memory."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from trainer.config.schema.base import Section


class PrecisionConfig(Section):
    """Numeric precision."""

    dtype: Literal["bf16", "fp32"] = "bf16"
    """Precision of the frozen base and of the arithmetic; trained weights stay fp32."""


class CheckpointingConfig(Section):
    """Gradient checkpointing."""

    enabled: bool = True
    """Compute activations again in the backward pass: less memory, about a third more time."""


class ComputeConfig(Section):
    """Where and how the arithmetic is done."""

    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    """Device; auto takes the best one."""
    threads: int | None = Field(default=None, ge=1)
    """CPU threads; default: all cores."""
    precision: PrecisionConfig = PrecisionConfig()
    """Numeric precision."""
    checkpointing: CheckpointingConfig = CheckpointingConfig()
    """Gradient checkpointing."""
    deterministic: bool = False
    """Only deterministic kernels: bit-equal repeats on a GPU, slower."""
