"""The optimiser."""

from __future__ import annotations

from typing import Any

from pydantic import Field, field_validator

from trainer.config.schema.base import Section, changes

_RESULT = changes("result")


class OptimizerArgs(Section):
    """Arguments of the chosen optimiser; one that it does not know is an error."""

    betas: tuple[float, float] | None = Field(default=None, strict=False, json_schema_extra=_RESULT)
    """Decay of the first and second moment."""
    eps: float | None = Field(default=None, gt=0, json_schema_extra=_RESULT)
    """Added to the denominator."""
    weight_decay: float | None = Field(default=None, ge=0, json_schema_extra=_RESULT)
    """Decoupled weight decay."""
    d_coef: float | None = Field(default=None, gt=0, json_schema_extra=_RESULT)
    """Prodigy: multiplies the estimated step size."""
    d0: float | None = Field(default=None, gt=0, json_schema_extra=_RESULT)
    """Prodigy: first estimate of the step size."""
    use_bias_correction: bool | None = Field(default=None, json_schema_extra=_RESULT)
    """Prodigy: Adam's bias correction."""
    safeguard_warmup: bool | None = Field(default=None, json_schema_extra=_RESULT)
    """Prodigy: ignore warm-up steps in the estimate."""
    warmup_steps: int | None = Field(default=None, ge=0, json_schema_extra=_RESULT)
    """Schedule-free: its own warm-up."""


class OptimizerConfig(Section):
    """Update rule and step size."""

    name: str = Field(default="adamw", json_schema_extra=changes("memory", "time", "result"))
    """Update rule."""
    lr: float | None = Field(default=None, gt=0, le=10, json_schema_extra=_RESULT)
    """Learning rate; default by optimiser and mode."""
    args: OptimizerArgs = Field(default_factory=OptimizerArgs)
    """Arguments of the optimiser; default by optimiser."""
    clip: float | None = Field(default=1.0, gt=0, json_schema_extra=_RESULT)
    """Limit of the global gradient norm; false turns clipping off."""
    fused_backward: bool = Field(default=False, json_schema_extra=changes("memory"))
    """Update each weight within the backward pass and drop its gradient; needs clip = false."""

    @field_validator("clip", mode="before")
    @classmethod
    def _off(cls, value: Any) -> Any:
        return None if value is False else value
