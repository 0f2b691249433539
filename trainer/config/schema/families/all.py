"""Options that only one family understands: one section per family that has any."""

from __future__ import annotations

from pydantic import Field

from trainer.config.schema.base import Section
from trainer.config.schema.families.deepfloyd import DeepFloydOptions
from trainer.config.schema.families.flux import FluxOptions
from trainer.config.schema.families.flux2 import Flux2Options
from trainer.config.schema.families.hidream import HiDreamOptions
from trainer.config.schema.families.lumina2 import Lumina2Options
from trainer.config.schema.families.sana import SanaOptions
from trainer.config.schema.families.sdxl import SdxlOptions
from trainer.config.schema.families.stable_cascade import StableCascadeOptions


class FamilyOptions(Section):
    """Options of single families."""

    deepfloyd: DeepFloydOptions = Field(default_factory=DeepFloydOptions)
    """DeepFloyd IF only."""
    flux: FluxOptions = Field(default_factory=FluxOptions)
    """Flux only."""
    flux2: Flux2Options = Field(default_factory=Flux2Options)
    """Flux.2 only."""
    hidream: HiDreamOptions = Field(default_factory=HiDreamOptions)
    """HiDream only."""
    sdxl: SdxlOptions = Field(default_factory=SdxlOptions)
    """SDXL only."""
    stable_cascade: StableCascadeOptions = Field(default_factory=StableCascadeOptions)
    """Stable Cascade only."""
    lumina2: Lumina2Options = Field(default_factory=Lumina2Options)
    """Lumina-Image 2 only."""
    sana: SanaOptions = Field(default_factory=SanaOptions)
    """Sana only."""
