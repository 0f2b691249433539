"""Weights in host memory."""

from __future__ import annotations

from pydantic import Field

from trainer.config.schema.base import Section, changes


class OffloadConfig(Section):
    """What lives in host memory and visits the device to compute."""

    blocks: int | None = Field(default=None, ge=1, json_schema_extra=changes("memory", "time"))
    """Blocks of the frozen denoiser, counted from its end; needs gradient checkpointing."""
    ring: int = Field(default=2, ge=2, le=8, json_schema_extra=changes("memory", "time"))
    """Blocks that have a place on the device at once: the one that computes, and those to come."""
    text_encoders: bool = Field(default=False, json_schema_extra=changes("memory", "time"))
    """Text encoders, layer by layer, while captions are encoded."""
    vae: bool = Field(default=False, json_schema_extra=changes("memory", "time"))
    """The autoencoder, layer by layer."""
