"""Options of Stable Diffusion XL."""

from __future__ import annotations

from pydantic import Field

from trainer.config.schema.base import Section, changes


class SdxlOptions(Section):
    """Options that only SDXL understands."""

    aesthetic_score: float = Field(
        default=6.0, ge=0.0, le=10.0, json_schema_extra=changes("result")
    )
    """Score that the refiner is told of every picture, in training and in sampling."""
