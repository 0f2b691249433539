"""What a data verb looks at: all datasets of a job file, or one folder with default settings."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from trainer.catalog import FAMILIES, family_facts
from trainer.catalog.facts import FamilyFacts
from trainer.config.resolve import resolve
from trainer.config.schema.data import DatasetConfig
from trainer.config.schema.root import JobConfig
from trainer.data.dataset import Dataset
from trainer.data.datasets import cache_root, datasets
from trainer.data.sources.base import Kind
from trainer.errors import ConfigError, DataError
from trainer.findings import at_or_above, finding

DEFAULT_FAMILY = "sdxl"  # of a bare folder: 1024 px, multiples of 64
ABOUT_TRAINING = ("CFG040", "CFG041", "CFG160")  # its length, and whether the family can do it


@dataclass(frozen=True, slots=True)
class Subject:
    """The datasets with their settings; `job` is None when a bare folder was named."""

    config: JobConfig
    facts: FamilyFacts
    datasets: tuple[Dataset, ...]
    settings: tuple[DatasetConfig, ...]  # one per dataset
    job: Path | None

    @property
    def cache_root(self) -> Path:
        """Where the trainer keeps the index too."""
        return cache_root(self.config)


def open_subject(
    place: Path,
    *,
    family: str | None = None,
    resolution: str | None = None,
    kind: Kind = "image",
    overrides: Sequence[str] = (),
) -> Subject:
    """Read a job file, or make one for a folder; ConfigError or DataError when it is not valid."""
    if place.is_dir():
        text = _job_of(place, family or DEFAULT_FAMILY, resolution, kind)
        found = resolve(text, format="json", name=str(place), overrides=overrides)
    else:
        extra = [f'model.family="{family}"'] if family else []
        extra += [f'data.defaults.resolution="{resolution}"'] if resolution else []
        found = resolve(place, overrides=[*extra, *overrides])
    errors = [f for f in at_or_above(found.findings, "error") if f.code not in ABOUT_TRAINING]
    if found.config is None or errors:
        kind_of = DataError if all(f.code.startswith("DAT") for f in errors) else ConfigError
        raise kind_of(*(errors or found.findings))
    config = found.config
    facts = family_facts(config.model.family)
    return Subject(
        config=config,
        facts=facts,
        datasets=tuple(datasets(config, facts)),
        settings=tuple(d for d in config.data.datasets if d.enabled),
        job=None if place.is_dir() else place,
    )


def _job_of(folder: Path, family: str, resolution: str | None, kind: Kind) -> str:
    """A job text with one dataset; captions are read where there are any."""
    if family not in FAMILIES:
        known = ", ".join(sorted(FAMILIES))
        raise ConfigError(
            finding("CFG011", f"there is no family {family!r}", fix=f"use one of {known}")
        )
    name = re.sub(r"[^A-Za-z0-9_.-]+", "-", folder.resolve().name).strip("-_.") or "data"
    dataset = {"id": name, "path": str(folder.resolve()), "kind": kind}
    if resolution:
        dataset["resolution"] = resolution
    job = {"model": {"family": family}, "data": {"datasets": [dataset]}}
    return json.dumps(job)
