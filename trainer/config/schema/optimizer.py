"""The optimiser."""

from __future__ import annotations

from typing import Any

from pydantic import Field, field_validator

from trainer.config.schema.base import Section


class OptimizerArgs(Section):
    """Arguments of the chosen optimiser; one that it does not know is an error."""

    betas: tuple[float, float] | None = None
    """Decay of the first and second moment."""
    eps: float | None = Field(default=None, gt=0)
    """Added to the denominator."""
    weight_decay: float | None = Field(default=None, ge=0)
    """Decoupled weight decay."""
    d_coef: float | None = Field(default=None, gt=0)
    """Prodigy: multiplies the estimated step size."""
    d0: float | None = Field(default=None, gt=0)
    """Prodigy: first estimate of the step size."""
    use_bias_correction: bool | None = None
    """Prodigy: Adam's bias correction."""
    safeguard_warmup: bool | None = None
    """Prodigy: ignore warm-up steps in the estimate."""
    warmup_steps: int | None = Field(default=None, ge=0)
    """Schedule-free: its own warm-up."""


class OptimizerConfig(Section):
    """Update rule and step size."""

    name: str = "adamw"
    """Optimiser: see `stune explain optimizer.name`."""
    lr: float | None = Field(default=None, gt=0, le=10)
    """Learning rate; default by optimiser and mode."""
    args: OptimizerArgs = OptimizerArgs()
    """Arguments of the optimiser."""
    clip: float | None = Field(default=1.0, gt=0)
    """Limit of the global gradient norm; false turns clipping off."""

    @field_validator("clip", mode="before")
    @classmethod
    def _off(cls, value: Any) -> Any:
        return None if value is False else value
