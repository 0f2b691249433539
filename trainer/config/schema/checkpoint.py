"""When the training state is written, and how it is taken up again."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from trainer.config.schema.base import Section, changes


class CheckpointConfig(Section):
    """Interval, retention and resume."""

    every_steps: int = Field(default=500, ge=1, json_schema_extra=changes("time", "disk"))
    """Interval in optimiser steps; the last step is always saved."""
    keep: int = Field(default=3, ge=1, json_schema_extra=changes("disk"))
    """How many of the newest are kept."""
    resume: Literal["auto", "never"] = Field(default="auto", json_schema_extra=changes("result"))
    """`auto` continues from the newest whole checkpoint of the run directory; `never` refuses a
    directory that has any."""
    allow: list[str] = Field(default_factory=list, json_schema_extra=changes("result"))
    """Identity fields that may differ from the checkpoint."""
