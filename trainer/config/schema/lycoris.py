"""LyCORIS adapters: the form of the weight change, and what each form can be told."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from trainer.config.schema.base import Section, changes

Algo = Literal["lora", "loha", "lokr", "full", "ia3", "dylora", "diag-oft", "boft", "glora"]

_SIZE = changes("memory", "disk", "result")
_PLACE = changes("memory", "time", "disk", "result")


class LycorisOverride(Section):
    """What differs for the layers inside modules of one class; unset keys are as for the rest."""

    module: str = Field(min_length=1, json_schema_extra=_PLACE)
    """Class name of the modules, `*` allowed; their layers are adapted as well."""
    algo: Algo | None = Field(default=None, json_schema_extra=_SIZE)
    """Form of the weight change."""
    rank: int | None = Field(default=None, ge=1, le=1024, json_schema_extra=_SIZE)
    """Size."""
    alpha: float | None = Field(default=None, gt=0, json_schema_extra=changes("result"))
    """Scale numerator."""
    factor: int | None = Field(default=None, ge=-1, json_schema_extra=_SIZE)
    """lokr: size of the small Kronecker factor."""


class LycorisConfig(Section):
    """Form of the weight change, where it acts, and its own settings."""

    algo: Algo = Field(default="lokr", json_schema_extra=_SIZE)
    """Form of the weight change."""
    modules: list[str] = Field(default_factory=list, json_schema_extra=_PLACE)
    """Class names of the modules whose layers are adapted, `*` allowed, in place of
    `adapter.preset`."""
    overrides: list[LycorisOverride] = Field(default_factory=list, json_schema_extra=_PLACE)
    """Another algo, rank, alpha or factor inside modules of a class."""
    factor: int = Field(default=16, ge=-1, json_schema_extra=_SIZE)
    """lokr: size of the small Kronecker factor; -1 makes both as equal as they get."""
    full_matrix: bool = Field(default=False, json_schema_extra=_SIZE)
    """lokr: keep both factors whole, so that there is no rank."""
    decompose_both: bool = Field(default=False, json_schema_extra=_SIZE)
    """lokr: give the small factor a low rank too."""
    init_norm: float | None = Field(default=None, gt=0, le=1, json_schema_extra=changes("result"))
    """lokr with full_matrix: start from noise like the base weights, times this, instead of 0."""
    block_size: int = Field(default=1, ge=1, json_schema_extra=changes("result"))
    """dylora: ranks that are cut off together; it divides the rank."""
    constraint: float | None = Field(default=None, gt=0, json_schema_extra=changes("result"))
    """diag-oft and boft: limit of the rotation, times the layer's outputs."""
    rescaled: bool = Field(default=False, json_schema_extra=changes("result"))
    """diag-oft and boft: train a factor for each output as well."""
