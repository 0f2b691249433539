"""Frozen weights in fewer bits."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from trainer.catalog.quants import Quant
from trainer.config.schema.base import Section, changes


class QuantConfig(Section):
    """Weight-only quantisation of frozen networks; the trained adapter keeps its precision."""

    base: Quant | None = Field(default=None, json_schema_extra=changes("memory", "time", "result"))
    """How the frozen denoiser is stored (mode adapter only); default: as loaded."""
    text_encoders: list[Quant | Literal["none"]] = Field(
        default_factory=list, json_schema_extra=changes("memory", "time", "result")
    )
    """How each text encoder is stored, in the pipeline's order; "none" leaves one as it is."""
    via: Literal["accelerator", "cpu"] = Field(
        default="accelerator", json_schema_extra=changes("memory", "time")
    )
    """Where layers are quantised: one by one on the device, or on the CPU before any is moved."""
    modulation: bool = Field(default=False, json_schema_extra=changes("memory", "result"))
    """Also the layers that turn time and text into shifts and scales: a quarter of Flux."""
    keep: list[str] = Field(default_factory=list, json_schema_extra=changes("memory", "result"))
    """Layers left as they are besides the usual ones: endings of module names, as in targets."""
