"""The adapter that is trained when `model.mode` is adapter."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from trainer.config.schema.base import Section, changes

Layout = Literal["diffusers", "comfyui"]


class AdapterConfig(Section):
    """Low-rank adapter: size, place, start and file layouts."""

    kind: Literal["lora"] = Field(default="lora", json_schema_extra=changes("result"))
    """Algorithm."""
    rank: int = Field(
        default=16, ge=1, le=1024, json_schema_extra=changes("memory", "disk", "result")
    )
    """Inner dimension: capacity and file size grow with it."""
    alpha: float | None = Field(default=None, gt=0, json_schema_extra=changes("result"))
    """Scale numerator; the adapter acts with alpha / rank. Default: rank."""
    dropout: float = Field(default=0.0, ge=0.0, lt=1.0, json_schema_extra=changes("result"))
    """Share of the adapter's inputs set to zero in training."""
    init: Literal["default", "gaussian"] = Field(
        default="default", json_schema_extra=changes("result")
    )
    """How the down-projection starts; the up-projection starts at zero."""
    preset: str | None = Field(
        default=None, json_schema_extra=changes("memory", "time", "disk", "result")
    )
    """Named set of target modules of the family; default: the family's usual one."""
    targets: list[str] = Field(
        default_factory=list, json_schema_extra=changes("memory", "time", "disk", "result")
    )
    """Module name endings to adapt, in place of `preset`."""
    formats: list[Layout] = Field(
        default_factory=lambda: ["diffusers", "comfyui"],
        min_length=1,
        json_schema_extra=changes("disk"),
    )
    """File layouts written at the end."""
    init_from: str | None = Field(default=None, json_schema_extra=changes("result", path="path"))
    """Adapter file whose weights are the start."""
