"""What a rule reports: a finding without its place; and what several rules look at."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from trainer.config.schema.root import JobConfig
from trainer.findings import Level


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """`idle` marks a key that has no effect: an error where the user set it, but only a remark
    where a preset did, since a job may well turn off what its preset needed."""

    code: str
    key: str
    message: str
    why: str = ""
    fix: str = ""
    level: Level = "error"
    patch: dict[str, Any] | None = None
    idle: bool = False


def resolutions(config: JobConfig) -> Iterator[tuple[str, str]]:
    """Key and value of every training size that is set."""
    if config.data.defaults.resolution:
        yield "data.defaults.resolution", config.data.defaults.resolution
    for index, dataset in enumerate(config.data.datasets):
        if dataset.resolution:
            yield f"data.datasets[{index}].resolution", dataset.resolution
