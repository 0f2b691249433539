"""Pictures made while training."""

from __future__ import annotations

from pathlib import PurePath
from typing import Literal

from pydantic import Field

from trainer.config.schema.base import Section, changes
from trainer.config.units import ResolutionText

_TIME = changes("time")


class ValidationInput(Section):
    """A picture to make something of."""

    path: str = Field(json_schema_extra=changes("time", path="path"))
    """File of the picture."""
    prompt: str = Field(json_schema_extra=_TIME)
    """What to make of it."""


class ValidationAdapter(Section):
    """Another adapter file to draw with."""

    path: str = Field(json_schema_extra=changes("time", path="path"))
    """File of the adapter, in any layout."""
    name: str | None = Field(default=None, min_length=1)
    """What its pictures are called; default: the name of the file."""
    strength: float = 1.0
    """How much it acts."""
    together: bool = True
    """Draw with what is trained as well; false: alone, to compare."""

    @property
    def label(self) -> str:
        return self.name or PurePath(self.path).stem


class ValidationConfig(Section):
    """When to sample, what, and how; training itself is not changed by any of it."""

    enabled: bool = Field(default=True, json_schema_extra=_TIME)
    """Sample at all."""
    every_steps: int | None = Field(default=None, ge=1, json_schema_extra=_TIME)
    """Interval in optimiser steps; none: only at the start and the end."""
    at_start: bool = Field(default=True, json_schema_extra=_TIME)
    """Sample before the first step, for comparison."""
    at_end: bool = Field(default=True, json_schema_extra=_TIME)
    """Sample after the last step."""
    prompts: list[str] = Field(default_factory=list, json_schema_extra=_TIME)
    """What to draw."""
    inputs: list[ValidationInput] = Field(default_factory=list, json_schema_extra=_TIME)
    """Pictures to edit or to be controlled by; for families that look at conditioning pictures and
    for control nets."""
    control_scale: float = Field(default=1.0, ge=0, le=10)
    """How strongly a control net acts on the pictures of `inputs`; it is trained at 1."""
    levels: Literal["all", "trained"] = Field(default="all", json_schema_extra=_TIME)
    """Noise levels that the trained model draws: all, or only those of noise.interval, as an expert
    of a part does; default: by flavour."""
    other_model: str | None = Field(
        default=None, json_schema_extra=changes("memory", "time", path="model")
    )
    """Folder or hub id of the expert that draws the other noise levels. Without one, a picture
    begins from a sample of the data where its noise levels are skipped, and ends in what the model
    foresees where its last ones are."""
    negative: str = ""
    """What guidance steers away from."""
    steps: int = Field(default=20, ge=1, le=1000, json_schema_extra=_TIME)
    """Sampling steps."""
    guidance: float | None = Field(default=None, ge=0)
    """Guidance scale; default by family."""
    resolution: ResolutionText | None = Field(
        default=None, json_schema_extra=changes("memory", "time")
    )
    """Size of the pictures; default: the training size, square."""
    seed: int = Field(default=42, ge=0)
    """Seed of the pictures, the same at every step."""
    images_per_prompt: int = Field(default=1, ge=1, le=16, json_schema_extra=_TIME)
    """Pictures per prompt and input."""

    adapter_strength: float = 1.0
    """How much the trained adapter acts in the pictures."""
    adapters: list[ValidationAdapter] = Field(default_factory=list, json_schema_extra=_TIME)
    """Other adapters; every picture is drawn once more with each of them."""
    adapters_only: bool = Field(default=False, json_schema_extra=_TIME)
    """Leave out the pictures without them."""

    @property
    def texts(self) -> list[str]:
        """Every prompt in the order of the pictures; empty when nothing is drawn."""
        if not self.enabled:
            return []
        return [*self.prompts, *(given.prompt for given in self.inputs)]
