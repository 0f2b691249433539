"""At which noise levels the model is trained."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from trainer.config.schema.base import Section


class BetaConfig(Section):
    """Parameters of the beta density."""

    alpha: float = Field(default=2.0, gt=0)
    """First shape parameter."""
    beta: float = Field(default=2.0, gt=0)
    """Second shape parameter."""


class NoiseConfig(Section):
    """Density of noise levels (flow families)."""

    sampling: Literal["sigmoid", "uniform", "beta"] | None = None
    """Density before the shift; default by family."""
    shift: float | Literal["auto"] | None = None
    """Factor towards noise (1 = none), or auto by resolution; default by family."""
    sigmoid_scale: float = Field(default=1.0, gt=0)
    """Spread of the sigmoid density."""
    beta: BetaConfig = BetaConfig()
    """Parameters of the beta density."""
