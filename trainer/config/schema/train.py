"""How long, and in which batches."""

from __future__ import annotations

from pydantic import Field

from trainer.config.schema.base import Section, changes


class TrainConfig(Section):
    """Length and batch; give exactly one of `steps` and `epochs`."""

    steps: int | None = Field(default=None, ge=1, json_schema_extra=changes("time", "result"))
    """Optimiser steps in all."""
    epochs: int | None = Field(default=None, ge=1, json_schema_extra=changes("time", "result"))
    """Passes over the training data (each with its repeats)."""
    batch_size: int = Field(default=1, ge=1, json_schema_extra=changes("memory", "time", "result"))
    """Samples in one forward pass."""
    accumulate: int = Field(default=1, ge=1, json_schema_extra=changes("time", "result"))
    """Forward passes per optimiser step."""
