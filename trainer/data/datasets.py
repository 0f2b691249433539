"""From the configuration to datasets with all settings filled in."""

from __future__ import annotations

from hashlib import blake2b
from pathlib import Path, PurePath

from trainer.catalog.facts import FamilyFacts
from trainer.config.schema.data import DatasetConfig
from trainer.config.schema.root import JobConfig
from trainer.config.units import Resolution, parse_resolution
from trainer.data.dataset import Dataset
from trainer.data.geometry import GeometrySpec
from trainer.data.index import Index
from trainer.data.sources.base import Kind, Source
from trainer.data.sources.build import build_source
from trainer.runs.homes import cache_home


def datasets(config: JobConfig, facts: FamilyFacts) -> list[Dataset]:
    """All datasets of the job that take part, of every role, in their order."""
    return [_dataset(config, facts, d) for d in config.data.datasets if d.enabled]


def _dataset(config: JobConfig, facts: FamilyFacts, dataset: DatasetConfig) -> Dataset:
    caption = dataset.caption or config.data.defaults.caption
    return Dataset(
        id=dataset.id,
        source=build_source(dataset, caption, cache_root(config) / "index"),
        geometry=_geometry(config, facts, dataset),
        caption=caption,
        missing_caption=config.data.missing_caption,
        background=config.data.background,
        seed=config.job.seed,
        kind=dataset.kind,
        role=dataset.role,
        repeats=dataset.repeats,
        leftover=dataset.leftover,
        min_size=dataset.min_size or 1,
        max_samples=dataset.max_samples,
    )


def _resolution(config: JobConfig, facts: FamilyFacts, text: str | None) -> Resolution:
    chosen = text or config.data.defaults.resolution or f"{facts.default_resolution}px2"
    return parse_resolution(chosen)


def _geometry(config: JobConfig, facts: FamilyFacts, dataset: DatasetConfig) -> GeometrySpec:
    size = _resolution(config, facts, dataset.resolution)
    crop = dataset.crop or config.data.defaults.crop
    return GeometrySpec(
        area=size.area,
        edge=size.edge,
        align=config.data.align or facts.pixel_multiple,
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


def cache_root(config: JobConfig) -> Path:
    """Folder of the index and of everything encoded."""
    return Path(config.cache.root) if config.cache.root else cache_home() / "objects"


INDEX = "index/2"  # of the database's tables


def index_of(cache_root: Path, source: Source, kind: Kind) -> Index:
    """The index of a source, shared by all datasets and jobs that read it."""
    named = f"{INDEX}|{source.identity}".encode("utf-8", "surrogateescape")
    tag = blake2b(named, digest_size=6).hexdigest()
    return Index(source, kind, cache_root / "index" / f"{PurePath(source.name).name}-{tag}.db")
