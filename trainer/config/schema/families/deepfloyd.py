"""Options of DeepFloyd IF."""

from __future__ import annotations

from pydantic import Field

from trainer.config.schema.base import Section, changes

_RESULT = changes("result")


class AugmentConfig(Section):
    """Noise on the small picture that stage II looks at; times of its own schedule, 0 to 999."""

    low: int = Field(default=0, ge=0, le=999, json_schema_extra=_RESULT)
    """Least noise in training."""
    high: int = Field(default=999, ge=0, le=999, json_schema_extra=_RESULT)
    """Most noise in training; each visit draws evenly between the two."""
    validation: int = Field(default=250, ge=0, le=999)
    """Noise in sampling."""


class DeepFloydOptions(Section):
    """Options that only DeepFloyd IF understands."""

    augment: AugmentConfig = Field(default_factory=AugmentConfig)
    """Noise on the small picture that stage II looks at."""
