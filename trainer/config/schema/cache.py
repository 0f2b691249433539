"""Where encoded samples are kept."""

from __future__ import annotations

from pydantic import Field

from trainer.config.schema.base import Section, changes


class CacheConfig(Section):
    """Content-addressed cache, shared by all runs."""

    root: str | None = Field(default=None, json_schema_extra=changes("disk", path="path"))
    """Folder of the cache; default: the cache home."""
    batch_size: int = Field(default=8, ge=1, json_schema_extra=changes("memory", "time"))
    """Samples encoded together."""
