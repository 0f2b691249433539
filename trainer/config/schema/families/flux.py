"""Options of Flux.1."""

from __future__ import annotations

from pydantic import Field

from trainer.config.schema.base import Section, changes


class FluxOptions(Section):
    """Options that only Flux understands."""

    attention_mask: bool = Field(default=False, json_schema_extra=changes("time", "result"))
    """Hide padding tokens of the T5 text from attention, in training and in sampling."""
    guidance: float = Field(default=1.0, ge=0.0, json_schema_extra=changes("result"))
    """Guidance scalar fed while training, for checkpoints that take one."""
