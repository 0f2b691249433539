"""Options of Lumina-Image 2."""

from __future__ import annotations

from pydantic import Field

from trainer.config.schema.base import Section, changes


class Lumina2Options(Section):
    """Options that only Lumina-Image 2 understands."""

    system_prompt: str | None = Field(default=None, json_schema_extra=changes("result"))
    """Words before every caption, in training and in pictures; default: the pipeline's own."""
