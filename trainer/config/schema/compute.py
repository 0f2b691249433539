"""Device, precision and memory."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from trainer.config.schema.base import Section, changes
from trainer.config.schema.offload import OffloadConfig
from trainer.config.schema.quant import QuantConfig
from trainer.config.schema.speed import AttentionConfig, CompileConfig


class PrecisionConfig(Section):
    """Numeric precision."""

    dtype: Literal["bf16", "fp32"] = Field(
        default="bf16", json_schema_extra=changes("memory", "time", "result")
    )
    """Precision of the frozen base and of the arithmetic; trained weights stay fp32."""


class CheckpointingConfig(Section):
    """Gradient checkpointing."""

    enabled: bool = Field(default=True, json_schema_extra=changes("memory", "time"))
    """Compute activations again in the backward pass: less memory, about a third more time."""
    mode: Literal["layer", "offload", "selective"] = Field(
        default="layer", json_schema_extra=changes("memory", "time")
    )
    """What a block keeps: its inputs, those in host memory, or also the results of attention."""
    interval: int = Field(default=1, ge=1, le=1000, json_schema_extra=changes("memory", "time"))
    """Checkpoint one block of this many; the others keep all activations."""


class ComputeConfig(Section):
    """Where and how the arithmetic is done."""

    device: Literal["auto", "cpu", "cuda", "mps"] = Field(
        default="auto", json_schema_extra=changes("time")
    )
    """Device; auto takes the best one."""
    threads: int | None = Field(default=None, ge=1, json_schema_extra=changes("time"))
    """CPU threads; default: all cores."""
    precision: PrecisionConfig = Field(default_factory=PrecisionConfig)
    """Numeric precision."""
    quant: QuantConfig = Field(default_factory=QuantConfig)
    """Frozen weights in fewer bits."""
    checkpointing: CheckpointingConfig = Field(default_factory=CheckpointingConfig)
    """Gradient checkpointing."""
    offload: OffloadConfig = Field(default_factory=OffloadConfig)
    """Weights in host memory."""
    text_encoders: Literal["together", "sequential"] = Field(
        default="together", json_schema_extra=changes("memory", "time")
    )
    """All text encoders in memory at once, or one after the other while captions are encoded."""
    attention: AttentionConfig = Field(default_factory=AttentionConfig)
    """Kernel of attention."""
    compile: CompileConfig = Field(default_factory=CompileConfig)
    """Compilation of the denoiser's blocks."""
    deterministic: bool = Field(default=False, json_schema_extra=changes("time"))
    """Only deterministic kernels: bit-equal repeats on a GPU, slower."""
