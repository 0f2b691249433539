"""Where encoded samples are kept."""

from __future__ import annotations

from pydantic import Field

from trainer.config.schema.base import Section


class CacheConfig(Section):
    """Content-addressed cache, shared by all runs."""

    root: str | None = Field(default=None, json_schema_extra={"path": True})
    """Folder of the cache; default: the cache home."""
    batch_size: int = Field(default=8, ge=1)
    """Samples encoded together."""
