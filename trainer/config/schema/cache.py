"""Where encoded samples are kept."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from trainer.config.schema.base import Section, changes


class CacheConfig(Section):
    """Content-addressed cache, shared by all runs."""

    root: str | None = Field(default=None, json_schema_extra=changes("disk", path="path"))
    """Folder of the cache; default: the cache home."""
    batch_size: int = Field(default=8, ge=1, json_schema_extra=changes("memory", "time"))
    """Samples encoded together."""
    latents: Literal["sample", "mean", "distribution"] | None = Field(
        default=None, json_schema_extra=changes("disk", "result")
    )
    """What is kept of the autoencoder's output: one sample, its mean, or mean and spread, from
    which every step draws anew; default by family."""
    dtype: Literal["fp32", "bf16"] = Field(
        default="fp32", json_schema_extra=changes("disk", "result")
    )
    """Precision in which latents are kept."""
    max_gb: float | None = Field(default=None, gt=0, json_schema_extra=changes("disk"))
    """Quota of the whole cache in GB: the longest unused entries make room."""
