"""From the configuration to datasets with all settings filled in."""

from __future__ import annotations

from hashlib import blake2b
from pathlib import Path

from trainer.catalog.facts import FamilyFacts
from trainer.config.schema.data import DatasetConfig
from trainer.config.schema.root import JobConfig
from trainer.config.units import Resolution, parse_resolution
from trainer.data.geometry import GeometrySpec
from trainer.data.index import Index
from trainer.data.table import Source


def sources(config: JobConfig, facts: FamilyFacts) -> list[Source]:
    """All datasets of the job, of both roles, in their order."""
    defaults = config.data.defaults
    return [
        Source(
            id=dataset.id,
            root=Path(dataset.path),
            geometry=_geometry(config, facts, dataset),
            caption=dataset.caption or defaults.caption,
            missing_caption=config.data.missing_caption,
            background=config.data.background,
            seed=config.job.seed,
            repeats=dataset.repeats,
            leftover=dataset.leftover,
            min_size=dataset.min_size or 1,
            max_samples=dataset.max_samples,
        )
        for dataset in config.data.datasets
    ]


def _resolution(config: JobConfig, facts: FamilyFacts, text: str | None) -> Resolution:
    chosen = text or config.data.defaults.resolution or f"{facts.default_resolution}px2"
    return parse_resolution(chosen)


def _geometry(config: JobConfig, facts: FamilyFacts, dataset: DatasetConfig) -> GeometrySpec:
    size = _resolution(config, facts, dataset.resolution)
    crop = dataset.crop or config.data.defaults.crop
    return GeometrySpec(
        area=size.area,
        edge=size.edge,
        align=facts.pixel_multiple,
        aspect=crop.aspect,
        position=crop.position,
    )


def square_size(config: JobConfig, facts: FamilyFacts) -> tuple[int, int]:
    """Width and height of validation pictures: as asked, else the training size as a square."""
    first = next((d.resolution for d in config.data.datasets if d.role == "train"), None)
    size = _resolution(config, facts, config.validation.resolution or first)
    multiple = 2 * facts.spatial_factor
    edge = max(multiple, round(size.square / multiple) * multiple)
    return edge, edge


def index_of(cache_root: Path, folder: Path) -> Index:
    """The index of a folder, shared by all datasets and jobs that read it."""
    place = folder.resolve()
    tag = blake2b(str(place).encode("utf-8", "surrogateescape"), digest_size=6).hexdigest()
    return Index(folder, cache_root / "index" / f"{place.name}-{tag}.db")
