"""Options of Sana."""

from __future__ import annotations

from pydantic import Field

from trainer.config.schema.base import Section, changes


class SanaOptions(Section):
    """Options that only Sana understands."""

    instruction: str | None = Field(default=None, json_schema_extra=changes("result"))
    """Words before every caption, in training and in pictures: an empty text for none; default:
    the pipeline's own."""
