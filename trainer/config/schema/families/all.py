"""Options that only one family understands: one section per family that has any."""

from __future__ import annotations

from pydantic import Field

from trainer.config.schema.base import Section
from trainer.config.schema.families.flux import FluxOptions
from trainer.config.schema.families.flux2 import Flux2Options
from trainer.config.schema.families.hidream import HiDreamOptions


class FamilyOptions(Section):
    """Options of single families."""

    flux: FluxOptions = Field(default_factory=FluxOptions)
    """Flux only."""
    flux2: Flux2Options = Field(default_factory=Flux2Options)
    """Flux.2 only."""
    hidream: HiDreamOptions = Field(default_factory=HiDreamOptions)
    """HiDream only."""
