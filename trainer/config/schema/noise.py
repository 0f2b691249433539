"""At which noise levels the model is trained."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from trainer.config.schema.base import Section, changes

_RESULT = changes("result")


class BetaConfig(Section):
    """Parameters of the beta density."""

    alpha: float = Field(default=2.0, gt=0, json_schema_extra=_RESULT)
    """First shape parameter; larger draws more noise."""
    beta: float = Field(default=2.0, gt=0, json_schema_extra=_RESULT)
    """Second shape parameter; larger draws less noise."""


class NoiseConfig(Section):
    """Density of noise levels (flow families)."""

    sampling: Literal["sigmoid", "uniform", "beta"] | None = Field(
        default=None, json_schema_extra=_RESULT
    )
    """Density before the shift; default by family."""
    shift: float | Literal["auto"] | None = Field(default=None, json_schema_extra=_RESULT)
    """Factor towards noise (1 = none), or auto by resolution; default by family."""
    sigmoid_scale: float = Field(default=1.0, gt=0, json_schema_extra=_RESULT)
    """Spread of the sigmoid density."""
    beta: BetaConfig = Field(default_factory=BetaConfig)
    """Parameters of the beta density."""
