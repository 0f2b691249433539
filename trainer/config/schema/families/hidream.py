"""Options of HiDream-I1."""

from __future__ import annotations

from pydantic import Field

from trainer.config.schema.base import Section, changes


class HiDreamOptions(Section):
    """Options that only HiDream understands."""

    llama: str | None = Field(default=None, json_schema_extra=changes("result", path="model"))
    """Folder or hub id of the Llama 3.1 8B text encoder, which the checkpoints come without."""
    balance_weight: float = Field(default=0.0, ge=0.0, json_schema_extra=changes("result"))
    """Weight of the loss that keeps the experts equally busy; 0.01 is usual."""
