"""Options that only one family understands: one section per family that has any."""

from __future__ import annotations

from pydantic import Field

from trainer.config.schema.base import Section
from trainer.config.schema.families.flux import FluxOptions
from trainer.config.schema.families.hidream import HiDreamOptions
from trainer.config.schema.families.lumina2 import Lumina2Options
from trainer.config.schema.families.sana import SanaOptions
from trainer.config.schema.families.stable_cascade import StableCascadeOptions


class FamilyOptions(Section):
    """Options of single families."""

    flux: FluxOptions = Field(default_factory=FluxOptions)
    """Flux only."""
    hidream: HiDreamOptions = Field(default_factory=HiDreamOptions)
    """HiDream only."""
    stable_cascade: StableCascadeOptions = Field(default_factory=StableCascadeOptions)
    """Stable Cascade only."""
    lumina2: Lumina2Options = Field(default_factory=Lumina2Options)
    """Lumina-Image 2 only."""
    sana: SanaOptions = Field(default_factory=SanaOptions)
    """Sana only."""
