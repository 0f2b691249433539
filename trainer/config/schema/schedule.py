"""The course of the learning rate."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator

from trainer.config.schema.base import Section, changes
from trainer.config.units import StepsOrShare, steps_of

_RESULT = changes("result")


class ScheduleConfig(Section):
    """Warm-up and shape."""

    name: Literal["constant", "linear", "cosine", "cosine_with_restarts", "polynomial", "sine"] = (
        Field(default="constant", json_schema_extra=_RESULT)
    )
    """Shape after warm-up."""
    warmup: StepsOrShare = Field(default=0, json_schema_extra=_RESULT)
    """Linear warm-up: a number of steps, or a share of the run such as 0.05 or "5%"."""
    cycles: int = Field(default=1, ge=1, json_schema_extra=_RESULT)
    """Restarts or waves (cosine_with_restarts, sine)."""
    power: float = Field(default=1.0, gt=0, json_schema_extra=_RESULT)
    """Exponent (polynomial)."""
    end_lr: float = Field(default=0.0, ge=0, json_schema_extra=_RESULT)
    """Rate at the end of a falling schedule."""

    @field_validator("warmup")
    @classmethod
    def _in_range(cls, value: int | float) -> int | float:
        if value < 0 or (isinstance(value, float) and value > 1):
            raise ValueError("warm-up is a number of steps, or a share between 0 and 1")
        return value

    def warmup_steps(self, total: int) -> int:
        return steps_of(self.warmup, total)
