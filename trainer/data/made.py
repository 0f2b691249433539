"""Partners that are made from their sample: which name they go by, and how they look."""

from __future__ import annotations

from trainer.data.dataset import Made


def made_identity(made: Made | None) -> str:
    """Part of the cache key: generator, version and options."""
    return "" if made is None else f"{made.generator}:{sorted(made.options.items())}"
