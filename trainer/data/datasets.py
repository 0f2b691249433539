"""From the configuration to datasets with all settings filled in."""

from __future__ import annotations

from hashlib import blake2b
from pathlib import Path, PurePath

from trainer.catalog.facts import FamilyFacts
from trainer.config.schema.data import ConditioningConfig, DatasetConfig
from trainer.config.schema.root import JobConfig
from trainer.config.units import Resolution, parse_resolution
from trainer.data.dataset import Dataset, Made, PartnerSpec
from trainer.data.geometry import Downsample, GeometrySpec
from trainer.data.index import Index
from trainer.data.overlay import Overlay
from trainer.data.overlay_file import load_overlay
from trainer.data.sources.base import Kind, Source
from trainer.data.sources.build import build_source
from trainer.runs.homes import cache_home


def datasets(config: JobConfig, facts: FamilyFacts) -> list[Dataset]:
    """All datasets of the job that take part, of every role, in their order."""
    return [_dataset(config, facts, d) for d in config.data.datasets if d.enabled]


def _dataset(config: JobConfig, facts: FamilyFacts, dataset: DatasetConfig) -> Dataset:
    defaults = config.data.defaults
    caption, audio = dataset.caption or defaults.caption, dataset.audio or defaults.audio
    return Dataset(
        id=dataset.id,
        source=build_source(dataset, caption, audio, cache_root(config) / "index"),
        geometry=_geometry(config, facts, dataset),
        caption=caption,
        missing_caption=config.data.missing_caption,
        background=config.data.background,
        seed=config.job.seed,
        kind=dataset.kind,
        role=dataset.role,
        repeats=dataset.repeats,
        batch_size=dataset.batch_size,
        slider=dataset.slider,
        timestep_offset=dataset.timestep_offset,
        leftover=dataset.leftover,
        max_samples=dataset.max_samples,
        crops=(dataset.crop or defaults.crop).variants,
        video=dataset.video or defaults.video,
        audio=audio,
        frame_rule=(facts.frame_stride, facts.frame_offset),
        partners=tuple(_partner(c, config.job.seed) for c in dataset.conditioning),
        suffix=dataset.suffix,
        overlay=load_overlay(dataset.overlay) if dataset.overlay else Overlay(),
    )


def _partner(entry: ConditioningConfig, seed: int) -> PartnerSpec:
    strict, name = entry.match == "strict", entry.generate
    if name is None:
        return PartnerSpec(dataset=entry.dataset, strict=strict, options=entry.options)
    from trainer.data.conditioning.generate import generator_identity

    identity = generator_identity(name, entry.options, seed=seed)
    made = Made(generator=name, identity=identity, seed=seed, options=entry.options)
    return PartnerSpec(made=made)


def _resolution(config: JobConfig, facts: FamilyFacts, text: str | None) -> Resolution:
    chosen = text or config.data.defaults.resolution or f"{facts.default_resolution}px2"
    return parse_resolution(chosen)


def _geometry(config: JobConfig, facts: FamilyFacts, dataset: DatasetConfig) -> GeometrySpec:
    size = _resolution(config, facts, dataset.resolution)
    crop = dataset.crop or config.data.defaults.crop
    large = dataset.downsample
    return GeometrySpec(
        area=size.area,
        edge=size.edge,
        align=config.data.align or facts.pixel_multiple,
        sizes=config.data.geometry,
        aspect=crop.aspect,
        aspects=tuple(crop.aspects),
        weights=tuple(crop.weights),
        position=crop.position,
        downsample=large and Downsample(parse_resolution(large.above), parse_resolution(large.to)),
        min_size=dataset.min_size or 1,
        min_aspect=dataset.min_aspect,
        max_aspect=dataset.max_aspect,
        max_upscale=dataset.max_upscale,
    )


def square_size(config: JobConfig, facts: FamilyFacts) -> tuple[int, int]:
    """Width and height of validation pictures: as asked, else the training size as a square."""
    first = next((d.resolution for d in config.data.datasets if d.role == "train"), None)
    size = _resolution(config, facts, config.validation.resolution or first)
    multiple = facts.latent_multiple * facts.spatial_factor
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
