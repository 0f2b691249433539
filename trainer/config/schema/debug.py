"""Logging."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from trainer.config.schema.base import Section, changes


class DebugConfig(Section):
    """What is written while training."""

    log_every: int = Field(default=10, ge=1, json_schema_extra=changes("time"))
    """Steps between two readings of the scalars (each waits for the device once)."""
    log_level: Literal["debug", "info", "warning", "error"] = "warning"
    """Least level of the lines that libraries write to the run's log."""
