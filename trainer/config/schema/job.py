"""Identity of the run."""

from __future__ import annotations

from pydantic import Field

from trainer.config.schema.base import Section, changes


class JobSection(Section):
    """Name, seed and place of the run."""

    name: str | None = Field(default=None, min_length=1, max_length=120)
    """Name shown everywhere; default: the file's name."""
    seed: int = Field(default=42, ge=0, lt=2**31, json_schema_extra=changes("result"))
    """Seed of every random choice; equal seeds and data give equal runs."""
    output_dir: str | None = Field(default=None, json_schema_extra=changes("disk", path="path"))
    """Run directory; default: a new one in the data home."""
    tags: list[str] = Field(default_factory=list)
    """Free labels for finding the job again."""
    notes: str = ""
    """Free text kept with the run."""
