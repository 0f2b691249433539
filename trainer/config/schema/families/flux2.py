"""Options of Flux.2."""

from __future__ import annotations

from pydantic import Field

from trainer.config.schema.base import Section, changes


class Flux2Options(Section):
    """Options that only Flux.2 understands."""

    guidance: float = Field(default=1.0, ge=0.0, json_schema_extra=changes("result"))
    """Guidance scalar fed while training, for checkpoints that take one (dev)."""
    text_layers: list[int] | None = Field(
        default=None, min_length=3, max_length=3, json_schema_extra=changes("result")
    )
    """Layers of the text encoder whose states are the text; default: those of the checkpoint."""
