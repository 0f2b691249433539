"""Options of Stable Cascade."""

from __future__ import annotations

from pydantic import Field

from trainer.config.schema.base import Section, changes


class StableCascadeOptions(Section):
    """Options that only Stable Cascade understands."""

    decoder: str | None = Field(default=None, json_schema_extra=changes("result", path="model"))
    """Folder or hub id of the decoder (stages B and A) that draws validation pictures, and of the
    picture encoder unless model.components.vae.path names another; default: model.path where it
    has them, else stabilityai/stable-cascade."""
    image_embeds: float = Field(
        default=0.1, ge=0.0, le=1.0, json_schema_extra=changes("time", "disk", "result")
    )
    """Share of the samples that are told what CLIP sees of their own picture, as the model was
    trained; the others are told nothing. 0 needs no image encoder."""
    p2_gamma: float = Field(default=1.0, ge=0.0, le=5.0, json_schema_extra=changes("result"))
    """Exponent of the loss weight (1 + SNR)^-gamma (P2); 1 is what the model was trained with, 0
    weighs all noise levels alike."""
