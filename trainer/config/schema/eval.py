"""Numbers measured while training."""

from __future__ import annotations

from pydantic import Field

from trainer.config.schema.base import Section, changes

_TIME = changes("time")


class EvalConfig(Section):
    """Held-out loss over the datasets with role eval, always with the same noise and times."""

    every_steps: int | None = Field(default=None, ge=1, json_schema_extra=_TIME)
    """Interval in optimiser steps; none: only at the start and the end."""
    samples: int = Field(default=16, ge=1, json_schema_extra=_TIME)
    """Samples measured."""
    timesteps: int = Field(default=8, ge=1, le=1000, json_schema_extra=_TIME)
    """Draws of noise and time per sample."""
    style_reference: str | None = Field(
        default=None, json_schema_extra=changes("time", path="path")
    )
    """Folder of pictures; the style distance of the validation pictures to them is measured."""
