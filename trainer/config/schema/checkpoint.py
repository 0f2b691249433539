"""When the training state is written, and how it is taken up again."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from trainer.config.schema.base import Section


class CheckpointConfig(Section):
    """Interval, retention and resume."""

    every_steps: int = Field(default=500, ge=1)
    """Interval in optimiser steps; the last step is always saved."""
    keep: int = Field(default=3, ge=1)
    """How many of the newest are kept."""
    resume: Literal["auto", "never"] = "auto"
    """Continue from the newest whole checkpoint of the run directory, or refuse to."""
    allow: list[str] = Field(default_factory=list)
    """Identity fields that may differ from the checkpoint."""
