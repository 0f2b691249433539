"""How an error becomes a number."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from trainer.config.schema.base import Section, changes

_RESULT = changes("result")


class HuberConfig(Section):
    """Width of the Huber losses."""

    c: float = Field(default=0.1, gt=0, le=1, json_schema_extra=_RESULT)
    """Width at full noise."""
    schedule: Literal["constant", "exponential", "snr"] = Field(
        default="snr", json_schema_extra=_RESULT
    )
    """How the width depends on the noise level."""


class SnrConfig(Section):
    """Weighting by signal-to-noise ratio."""

    gamma: float | None = Field(default=None, gt=0, json_schema_extra=_RESULT)
    """Min-SNR limit; 5 is usual, none turns it off (UNets only)."""


class MaskConfig(Section):
    """What masks do with the loss (datasets with a mask as partner)."""

    probability: float = Field(default=1.0, ge=0.0, le=1.0, json_schema_extra=_RESULT)
    """Share of draws in which a sample's mask is used; in the others all of it counts."""
    unmasked_weight: float = Field(default=0.0, ge=0.0, lt=1.0, json_schema_extra=_RESULT)
    """Least weight, so that what the mask leaves out still counts a little."""
    normalise: bool = Field(default=False, json_schema_extra=_RESULT)
    """Take the mean over what is kept instead of the whole picture, so that samples with small
    masks count as much as others."""


class LossConfig(Section):
    """Element loss and weighting."""

    kind: Literal["l2", "huber", "smooth_l1"] = Field(default="l2", json_schema_extra=_RESULT)
    """Element loss."""
    huber: HuberConfig = Field(default_factory=HuberConfig)
    """Width of huber and smooth_l1."""
    snr: SnrConfig = Field(default_factory=SnrConfig)
    """Weighting by signal-to-noise ratio."""
    mask: MaskConfig = Field(default_factory=MaskConfig)
    """Masks."""
