"""The adapter that is trained when `model.mode` is adapter."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from trainer.config.schema.base import Section, changes
from trainer.config.schema.lycoris import LycorisConfig

Layout = Literal["diffusers", "comfyui", "lycoris"]
Init = Literal["default", "gaussian", "orthogonal", "pissa", "olora"]
FastPissa = Annotated[str, Field(pattern=r"^pissa_niter_[1-9][0-9]*$")]

_SIZE = changes("memory", "disk", "result")
_PLACE = changes("memory", "time", "disk", "result")


class AdapterOverride(Section):
    """What differs for some modules; unset keys are as for the rest."""

    module: str = Field(min_length=1, json_schema_extra=_SIZE)
    """The end of module names at a dot (`to_q`, `ff.net.2`), or a regular expression for one."""
    rank: int | None = Field(default=None, ge=1, le=1024, json_schema_extra=_SIZE)
    """Inner dimension."""
    alpha: float | None = Field(default=None, gt=0, json_schema_extra=changes("result"))
    """Scale numerator; default: `adapter.alpha`, else the rank here."""


class AdapterConfig(Section):
    """Adapter: kind, size, place, start and file layouts."""

    kind: Literal["lora", "lycoris"] = Field(default="lora", json_schema_extra=_SIZE)
    """LoRA, or one of the LyCORIS algorithms (adapter.lycoris)."""
    rank: int = Field(default=16, ge=1, le=1024, json_schema_extra=_SIZE)
    """Inner dimension: capacity and file size grow with it."""
    alpha: float | None = Field(default=None, gt=0, json_schema_extra=changes("result"))
    """Scale numerator; the adapter acts with alpha / rank. Default: rank."""
    rslora: bool = Field(default=False, json_schema_extra=changes("result"))
    """Act with alpha / sqrt(rank), which stays stable at high ranks (rsLoRA)."""
    dora: bool = Field(default=False, json_schema_extra=changes("memory", "time", "result"))
    """Train length and direction of each weight row apart (DoRA)."""
    overrides: list[AdapterOverride] = Field(default_factory=list, json_schema_extra=_SIZE)
    """Other ranks and alphas by module name; the first that means a module counts."""
    dropout: float = Field(default=0.0, ge=0.0, lt=1.0, json_schema_extra=changes("result"))
    """Share of the adapter's inputs set to zero in training."""
    init: Init | FastPissa = Field(default="default", json_schema_extra=changes("result"))
    """Start: `default` and `gaussian` random with no effect; `orthogonal`; `pissa` and `olora`
    from the base weights' main parts; `pissa_niter_4` finds them fast, in 4 rounds."""
    lora_plus_ratio: float | None = Field(default=None, gt=0, json_schema_extra=changes("result"))
    """Learning rate of the up-projections as a multiple of that of the others (LoRA+; 16 usual)."""
    preset: str | None = Field(default=None, json_schema_extra=_PLACE)
    """Named set of target modules of the family; default: the family's usual one."""
    targets: list[str] = Field(default_factory=list, json_schema_extra=_PLACE)
    """Module name endings to adapt, in place of `preset`."""
    exclude: list[str] = Field(default_factory=list, json_schema_extra=_PLACE)
    """Modules to leave out: the end of a name, or a regular expression for one."""
    lycoris: LycorisConfig = Field(default_factory=LycorisConfig)
    """LyCORIS algorithm and its settings."""
    formats: list[Layout] | None = Field(
        default=None, min_length=1, json_schema_extra=changes("disk")
    )
    """File layouts to write; default: diffusers and comfyui, for LyCORIS lycoris."""
    init_from: str | None = Field(default=None, json_schema_extra=changes("result", path="path"))
    """Adapter file whose weights are the start."""
