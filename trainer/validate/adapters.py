"""With which adapters validation pictures are drawn: the trained one, and others beside it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from trainer.adapters.beside import beside
from trainer.config.schema.validation import ValidationAdapter, ValidationConfig
from trainer.loop.parts import Parts


def sets(config: ValidationConfig) -> list[ValidationAdapter | None]:
    """Once for every set of pictures; None is the trained adapter without another."""
    alone: list[ValidationAdapter | None] = (
        [] if config.adapters and config.adapters_only else [None]
    )
    return [*alone, *config.adapters]


@contextmanager
def drawn_with(parts: Parts, adapter: ValidationAdapter | None) -> Iterator[None]:
    """Within the block the model acts as the pictures of a set want it."""
    strength = parts.config.validation.adapter_strength
    with ExitStack() as stack:
        if adapter is not None and not adapter.together:
            stack.enter_context(parts.trainable.base_scope())
        elif strength != 1.0 and parts.config.model.mode == "adapter":
            stack.enter_context(parts.trainable.at_strength(strength))
        if adapter is not None:
            denoiser = parts.family.denoiser
            stack.enter_context(beside(denoiser, Path(adapter.path), adapter.strength))
        yield
