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


class IntervalConfig(Section):
    """The part of the noise levels that is trained, for experts that share them; shares of the
    schedule, 0 clean and 1 noise."""

    low: float = Field(default=0.0, ge=0.0, lt=1.0, json_schema_extra=_RESULT)
    """Least noise level."""
    high: float = Field(default=1.0, gt=0.0, le=1.0, json_schema_extra=_RESULT)
    """Greatest noise level; default: by flavour, else all."""
    fit: Literal["reject", "rescale"] = Field(default="reject", json_schema_extra=_RESULT)
    """Keep of the density what lies inside, or squeeze all of it into the interval (flow only)."""


class NoiseConfig(Section):
    """Noise levels that are trained, and their density (of flow families)."""

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
    interval: IntervalConfig = Field(default_factory=IntervalConfig)
    """Part of the noise levels that is trained; of any family."""
