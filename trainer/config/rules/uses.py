"""Which dataset reads which setting of a section that datasets share (`caption`, `crop`).

A dataset's section holds what it sets itself and what it inherits from `data.defaults`. A rule
blames the key where a setting was made, and a key has no effect only if it has none for every
dataset that reads it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

from trainer.config.rules.kinds import PARTNERS
from trainer.config.schema.base import Section
from trainer.config.schema.captions import CaptionConfig
from trainer.config.schema.data import CropConfig, DatasetConfig
from trainer.config.schema.root import JobConfig

S = TypeVar("S", bound=Section)


@dataclass(frozen=True, slots=True)
class Use(Generic[S]):
    """The section `value` as one dataset reads it."""

    dataset: DatasetConfig
    value: S
    own: str  # key of the dataset's section
    shared: str  # key of the defaults' section
    defaults: S

    def key(self, name: str) -> str:
        """Where the setting was made."""
        inherited = self.value is self.defaults or (
            name in self.defaults.model_fields_set
            and getattr(self.value, name) == getattr(self.defaults, name)
        )
        return f"{self.shared if inherited else self.own}.{name}"


def caption_uses(config: JobConfig) -> list[Use[CaptionConfig]]:
    """Of every dataset whose captions are read: partners have their samples'."""
    shared = config.data.defaults.caption
    return [
        Use(d, d.caption or shared, f"data.datasets[{i}].caption", "data.defaults.caption", shared)
        for i, d in enumerate(config.data.datasets)
        if d.role not in PARTNERS
    ]


def crop_uses(config: JobConfig) -> list[Use[CropConfig]]:
    shared = config.data.defaults.crop
    return [
        Use(d, d.crop or shared, f"data.datasets[{i}].crop", "data.defaults.crop", shared)
        for i, d in enumerate(config.data.datasets)
    ]


def idle_keys(
    uses: list[Use[S]], why_idle: Callable[[str, Use[S]], str | None]
) -> Iterator[tuple[str, str]]:
    """Keys that have no effect for any dataset, with the reason."""
    reasons: dict[str, list[str | None]] = {}
    for use in uses:
        for name in sorted(use.value.model_fields_set):
            reasons.setdefault(use.key(name), []).append(why_idle(name, use))
    for key, found in reasons.items():
        told = [reason for reason in found if reason is not None]
        if len(told) == len(found):
            yield key, told[0]


def unread(uses: list[Use[S]]) -> Iterator[str]:
    """Shared keys that every dataset overrides."""
    if not uses:
        return
    read = {use.key(name) for use in uses for name in use.value.model_fields_set}
    for name in sorted(uses[0].defaults.model_fields_set):
        if (key := f"{uses[0].shared}.{name}") not in read:
            yield key
