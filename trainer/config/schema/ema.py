"""Average of the trained weights."""

from __future__ import annotations

from pydantic import Field

from trainer.config.schema.base import Section, changes


class EmaConfig(Section):
    """Exponential moving average in fp32; saved beside the plain weights."""

    enabled: bool = Field(default=False, json_schema_extra=changes("memory", "disk", "result"))
    """Keep an average."""
    decay: float = Field(default=0.995, ge=0, lt=1, json_schema_extra=changes("result"))
    """Share of the old average kept per optimiser step."""
    every: int = Field(default=1, ge=1, json_schema_extra=changes("time"))
    """Update interval in optimiser steps; the time constant stays the same."""
