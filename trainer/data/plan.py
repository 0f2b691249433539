"""The plan: which samples are trained on, at which size, from which part of the picture.

Frozen before training; its hash is part of a checkpoint's identity.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from pathlib import Path

from trainer.catalog.facts import FamilyFacts
from trainer.config.schema.data import CaptionConfig, CropConfig, DatasetConfig
from trainer.config.schema.root import JobConfig
from trainer.config.units import parse_resolution
from trainer.data.captions import MissingCaption, read_captions
from trainer.data.course import Pool
from trainer.data.geometry import GeometrySpec, Placement, place
from trainer.data.index import Row, scan
from trainer.errors import DataError
from trainer.findings import Finding, finding
from trainer.rng import stream_seed, unit


@dataclass(frozen=True, slots=True)
class Item:
    """One sample of the plan."""

    sample_id: int
    path: Path
    content: str
    width: int
    height: int
    placement: Placement
    captions: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """Items by pool (one dataset in one bucket); `names[dataset]` is the dataset's id."""

    pools: tuple[Pool, ...]
    items: tuple[tuple[Item, ...], ...]
    names: tuple[str, ...]
    dropout: tuple[float, ...]
    plan_hash: str

    def __bool__(self) -> bool:
        return bool(self.pools)

    @property
    def all_items(self) -> list[Item]:
        return [item for pool in self.items for item in pool]

    def without(self, sample_ids: set[int]) -> Plan:
        """The same plan less some samples."""
        if not sample_ids:
            return self
        kept = [tuple(i for i in p if i.sample_id not in sample_ids) for p in self.items]
        pairs = [(replace(p, rows=len(k)), k) for p, k in zip(self.pools, kept, strict=True) if k]
        digest = blake2b(f"{self.plan_hash}{sorted(sample_ids)}".encode(), digest_size=12)
        return replace(
            self,
            pools=tuple(p for p, _ in pairs),
            items=tuple(k for _, k in pairs),
            plan_hash=digest.hexdigest(),
        )

    @property
    def captions(self) -> set[str]:
        return {caption for item in self.all_items for caption in item.captions}


@dataclass(slots=True)
class Funnel:
    """How many samples are left after each stage of one dataset."""

    found: int = 0
    readable: int = 0
    large_enough: int = 0
    captioned: int = 0
    used: int = 0
    lost: list[Finding] = field(default_factory=list)

    def __str__(self) -> str:
        return (
            f"found {self.found} → readable {self.readable} → size {self.large_enough} → "
            f"caption {self.captioned} → used {self.used}"
        )


def sample_id(dataset: str, relpath: str) -> int:
    digest = blake2b(f"{dataset}/{relpath}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 1


def make_plan(
    config: JobConfig,
    facts: FamilyFacts,
    role: str,
    index_root: Path,
    *,
    should_stop: Callable[[], bool],
) -> tuple[Plan, dict[str, Funnel]]:
    """Scan the datasets of one role and place every usable sample in a bucket."""
    datasets = [d for d in config.data.datasets if d.role == role]
    funnels: dict[str, Funnel] = {}
    pools: list[Pool] = []
    items: list[tuple[Item, ...]] = []
    for number, dataset in enumerate(datasets):
        root = Path(dataset.path)
        tag = blake2b(str(root.resolve()).encode(), digest_size=6).hexdigest()
        rows = scan(root, index_root / f"{dataset.id}-{tag}.db", should_stop=should_stop)
        funnel = funnels[dataset.id] = Funnel()
        buckets: dict[tuple[int, int], list[Item]] = {}
        for item in _usable(config, facts, dataset, root, rows, funnel):
            buckets.setdefault(item.placement.target, []).append(item)
        _demand(dataset, funnel)
        for bucket in sorted(buckets):
            name = f"{dataset.id}:{bucket[0]}x{bucket[1]}"
            rows_here = tuple(sorted(buckets[bucket], key=lambda i: i.sample_id))
            pools.append(Pool(number, name, len(rows_here), dataset.repeats, dataset.leftover))
            items.append(rows_here)
    captions = [caption_config(config, d) for d in datasets]
    return (
        Plan(
            pools=tuple(pools),
            items=tuple(items),
            names=tuple(d.id for d in datasets),
            dropout=tuple(c.dropout for c in captions),
            plan_hash=_hash(pools, items, captions, config.data.background),
        ),
        funnels,
    )


def caption_config(config: JobConfig, dataset: DatasetConfig) -> CaptionConfig:
    return dataset.caption or config.data.defaults.caption


def geometry_spec(config: JobConfig, facts: FamilyFacts, dataset: DatasetConfig) -> GeometrySpec:
    text = dataset.resolution or config.data.defaults.resolution
    size = parse_resolution(text or f"{facts.default_resolution}px2")
    crop: CropConfig = dataset.crop or config.data.defaults.crop
    return GeometrySpec(
        area=size.area,
        edge=size.edge,
        align=facts.pixel_multiple,
        aspect=crop.aspect,
        position=crop.position,
    )


def _usable(
    config: JobConfig,
    facts: FamilyFacts,
    dataset: DatasetConfig,
    root: Path,
    rows: list[Row],
    funnel: Funnel,
) -> list[Item]:
    """Rows that pass every stage of the funnel, as items."""
    spec = geometry_spec(config, facts, dataset)
    caption = caption_config(config, dataset)
    items: list[Item] = []
    for row in rows:
        funnel.found += 1
        if row.reason is not None:
            _lost_picture(config, root / row.relpath, row.reason, funnel)
            continue
        funnel.readable += 1
        if dataset.min_size and min(row.width, row.height) < dataset.min_size:
            continue
        funnel.large_enough += 1
        texts = _captions(config, root / row.relpath, caption, funnel)
        if texts is None:
            continue
        funnel.captioned += 1
        number = sample_id(dataset.id, row.relpath)
        seeds = [stream_seed(config.job.seed, number, 0, f"crop-{axis}") for axis in "xy"]
        placement = place(row.width, row.height, spec, (unit(seeds[0]), unit(seeds[1])))
        items.append(
            Item(number, root / row.relpath, row.content, row.width, row.height, placement, texts)
        )
    if dataset.max_samples is not None:
        items = sorted(items, key=lambda i: i.sample_id)[: dataset.max_samples]
    funnel.used = len(items)
    return items


def _lost_picture(config: JobConfig, path: Path, reason: str, funnel: Funnel) -> None:
    problem = finding(
        "DAT003",
        f"{path.name} cannot be read: {reason}",
        where=str(path),
        why="it is left out",
        fix="replace or remove the file",
        level="warn",
    )
    if config.data.on_corrupt == "fail":
        raise DataError(problem.model_copy(update={"level": "error"}))
    funnel.lost.append(problem)


def _captions(
    config: JobConfig, path: Path, caption: CaptionConfig, funnel: Funnel
) -> tuple[str, ...] | None:
    try:
        return read_captions(path, caption)
    except MissingCaption as error:
        reason = str(error)
    policy = config.data.missing_caption
    if policy == "empty":
        return ("",)
    if policy == "filename":
        return (path.stem.replace("_", " "),)
    problem = finding(
        "DAT006",
        f"{path.name} has no caption: {reason}",
        where=str(path),
        why="the model would not know what it is shown",
        fix='write the caption, or set data.missing_caption to "skip", "filename" or "empty"',
        level="error" if policy == "fail" else "warn",
    )
    if policy == "fail":
        raise DataError(problem)
    funnel.lost.append(problem)
    return None


def _demand(dataset: DatasetConfig, funnel: Funnel) -> None:
    """A dataset without any usable sample, or with mostly broken files, is an error."""
    reasons = Counter(p.message.partition(": ")[2] for p in funnel.lost)
    why = "; ".join(f"{n} x {r}" for r, n in reasons.most_common(3))
    if funnel.used == 0:
        raise DataError(
            finding(
                "DAT002",
                f"dataset {dataset.id} has no usable picture: {funnel}",
                where=dataset.path,
                why=why or "the folder holds no pictures of a known kind",
                fix="check data.datasets path, min_size and captions",
            )
        )
    broken = funnel.found - funnel.readable
    if broken * 20 > funnel.found and broken > 3:
        raise DataError(
            finding(
                "DAT004",
                f"dataset {dataset.id}: {broken} of {funnel.found} pictures cannot be read",
                where=dataset.path,
                why=why,
                fix="repair the folder; single bad files are skipped, this many are not",
            )
        )


def _hash(
    pools: list[Pool], items: list[tuple[Item, ...]], captions: list[CaptionConfig], background: str
) -> str:
    hasher = blake2b(digest_size=12)
    for pool, members in zip(pools, items, strict=True):
        hasher.update(f"{pool}|{captions[pool.dataset]}|{background}".encode())
        for item in members:
            hasher.update(f"{item.sample_id}{item.content}{item.placement}{item.captions}".encode())
    return hasher.hexdigest()
