"""The usable samples of one dataset, in columns: ten million rows are a few arrays.

What follows from a row (captions, placement) is worked out when it is asked for. A row is turned
into an `Item` only where a sample is encoded or trained on.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

from trainer.cache.keys import KEY_BYTES
from trainer.data.dataset import Dataset, PartnerSpec, Role
from trainer.data.frames import frame_count, frame_indices
from trainer.data.geometry import (
    MIDDLE,
    Bucket,
    Draw,
    Focus,
    Placement,
    drawn,
    place,
    place_into,
    place_like,
)
from trainer.data.item import NOWHERE, Item
from trainer.data.probe import Facts
from trainer.data.sound import seconds_of, start_of
from trainer.data.strings import Strings
from trainer.rng import stream_seed, unit

Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Partner:
    """What every row of a table is accompanied by: rows of another table, or something made."""

    spec: PartnerSpec
    role: Role  # mask or conditioning
    table: Table | None = None
    rows: Ints | None = None  # per row of the sample's table, its row in `table`

    def take(self, rows: Ints) -> Partner:
        return self if self.rows is None else replace(self, rows=self.rows[rows])


@dataclass(frozen=True, eq=False)
class Table:
    """Rows sorted by path."""

    dataset: Dataset
    ids: Ints
    sizes: NDArray[np.int32]  # [n, 2] width, height
    moving: NDArray[np.float64]  # [n, 5] frames, fps, seconds, channels, rate; [0, 5] for pictures
    focus: NDArray[np.float64]  # [n, 2] centre of the largest face, NaN without; [0, 2] if not used
    contents: NDArray[np.uint8]  # [n, KEY_BYTES]
    relpaths: Strings
    locators: Strings
    file_texts: Strings  # stored captions, "" where there are none
    partners: tuple[Partner, ...] = ()
    recut: Mapping[Bucket, Bucket] = field(default_factory=dict)  # targets of merged buckets

    def __len__(self) -> int:
        return len(self.ids)

    def captions(self, row: int) -> tuple[str, ...]:
        return self.dataset.captions(self.relpaths[row], self.file_texts[row])

    def facts(self, row: int) -> Facts:
        width, height = map(int, self.sizes[row])
        if not len(self.moving):
            return Facts(width, height)
        frames, fps, seconds, channels, rate = self.moving[row].tolist()
        return Facts(width, height, int(frames), fps, seconds, int(channels), int(rate))

    def content(self, row: int) -> bytes:
        return self.contents[row].tobytes()

    def placement(self, row: int, crop: int = 0) -> Placement:
        """Where the sample goes with crop number `crop`."""
        width, height = map(int, self.sizes[row])
        if not width:
            return NOWHERE
        draw = self.draw(row, crop)
        spec, focus = self.dataset.geometry, self._focus(row)
        placement = place(width, height, spec, draw, focus)
        if (target := self.recut.get(placement.target)) is None:
            return placement
        return place_into(target, width, height, spec, draw, focus)

    def draw(self, row: int, crop: int = 0) -> Draw:
        """What is random in the placement of a sample."""
        return draw_of(self.dataset, self.content(row), crop)

    def _focus(self, row: int) -> Focus | None:
        if not len(self.focus) or np.isnan(self.focus[row, 0]):
            return None
        return float(self.focus[row, 0]), float(self.focus[row, 1])

    def item(self, row: int, crop: int = 0) -> Item:
        """The sample of a row with its partners."""
        placement = self.placement(row, crop)
        item = self._item(row, placement)
        if not self.partners:
            return item
        return replace(item, partners=tuple(self._partner(p, row, item) for p in self.partners))

    def _item(self, row: int, placement: Placement) -> Item:
        dataset = self.dataset
        return Item(
            sample_id=int(self.ids[row]),
            source=dataset.source,
            relpath=self.relpaths[row],
            locator=self.locators[row],
            kind=dataset.kind,
            role=dataset.role,
            content=self.content(row),
            facts=self.facts(row),
            placement=placement,
            captions=self.captions(row),
            background=dataset.background,
            clip=self._clip(row),
            span=self._span(row),
            audio=dataset.audio,
            drops_caption=dataset.caption.dropout > 0,
        )

    def _clip(self, row: int) -> tuple[int, ...]:
        """Frames taken of a film."""
        dataset = self.dataset
        if dataset.kind != "video":
            return ()
        facts, draw = self.facts(row), self._start(row, dataset.video.start)
        return tuple(frame_indices(facts, dataset.video, self.length(row), draw))

    def _span(self, row: int) -> tuple[float, float] | None:
        """Part taken of a recording."""
        dataset = self.dataset
        if dataset.kind != "audio":
            return None
        facts, draw = self.facts(row), self._start(row, dataset.audio.truncate)
        seconds = seconds_of(facts, dataset.audio)
        return start_of(facts, dataset.audio, seconds, draw), seconds

    def _start(self, row: int, where: str) -> float:
        number = int.from_bytes(self.content(row), "little")
        return (
            unit(stream_seed(self.dataset.seed, number, 0, "start")) if where == "random" else 0.0
        )

    def length(self, row: int) -> int:
        """Frames of a clip, hundredths of seconds of a recording, 1 of a picture."""
        return length_of(self.dataset, self.facts(row))

    def _partner(self, partner: Partner, row: int, sample: Item) -> Item:
        if partner.table is None or partner.rows is None:
            return replace(sample, role=partner.role, made=partner.spec.made)
        other, there = partner.table, int(partner.rows[row])
        if not partner.spec.strict:
            return replace(other.item(there), options=partner.spec.options)
        size = (int(other.sizes[there, 0]), int(other.sizes[there, 1]))
        placement = place_like(size, (sample.width, sample.height), sample.placement)
        assert placement is not None, "pairing keeps only partners of the sample's shape"
        return replace(other._item(there, placement), options=partner.spec.options)

    def items(self, rows: Iterable[int] | None = None) -> Iterator[Item]:
        """Samples in all their crops."""
        for row in range(len(self)) if rows is None else rows:
            for crop in range(self.dataset.crops):
                yield self.item(row, crop)

    def take(self, rows: Ints) -> Table:
        """The table of only these rows."""
        return replace(
            self,
            ids=self.ids[rows],
            sizes=self.sizes[rows],
            moving=self.moving[rows] if len(self.moving) else self.moving,
            focus=self.focus[rows] if len(self.focus) else self.focus,
            contents=self.contents[rows],
            relpaths=self.relpaths.take(rows),
            locators=self.locators.take(rows),
            file_texts=self.file_texts.take(rows),
            partners=tuple(partner.take(rows) for partner in self.partners),
        )

    @cached_property
    def by_size(self) -> tuple[list[tuple[int, int]], NDArray[np.intp], Ints]:
        """Different sizes, which of them each row has, and how many rows have each."""
        if not len(self):
            return [], np.empty(0, dtype=np.intp), np.empty(0, dtype=np.int64)
        packed = self.sizes[:, 0].astype(np.int64) << 32 | self.sizes[:, 1]
        unique, inverse, counts = np.unique(packed, return_inverse=True, return_counts=True)
        return [(int(u) >> 32, int(u) & 0xFFFFFFFF) for u in unique], inverse, counts

    @cached_property
    def digest(self) -> bytes:
        """Of everything that shapes the samples; places and names of folders do not."""
        hasher = blake2b(repr(self._settings()).encode(), digest_size=KEY_BYTES)
        hasher.update(self.columns_digest)
        if self.recut:
            hasher.update(repr(sorted(self.recut.items())).encode())
        for partner in self.partners:
            hasher.update(repr((partner.spec, partner.role)).encode())
            if partner.table is not None and partner.rows is not None:
                hasher.update(partner.table.digest)
                hasher.update(partner.rows.tobytes())
        return hasher.digest()

    @cached_property
    def columns_digest(self) -> bytes:
        hasher = blake2b(digest_size=KEY_BYTES)
        for values in (self.ids, self.sizes, self.moving, self.focus, self.contents):
            hasher.update(np.ascontiguousarray(values).tobytes())
        hasher.update(self.file_texts.ends.tobytes())
        hasher.update(self.file_texts.packed)
        return hasher.digest()

    def _settings(self) -> tuple[object, ...]:
        """Settings that change samples or their order; those at their default are left out, so
        that a new one does not end the runs that came before it."""
        dataset = self.dataset
        caption = dataset.caption.model_dump(exclude_defaults=True)
        more = {
            "slider": dataset.slider,
            "offset": dataset.timestep_offset,
            "crops": dataset.crops > 1 and dataset.crops,
            "role": dataset.role not in ("train", "eval") and dataset.role,
            "kind": dataset.kind != "image" and (dataset.kind, dataset.video, dataset.audio),
        }
        settings = (dataset.id, dataset.geometry.settings(), caption, dataset.missing_caption)
        settings += (dataset.background, dataset.repeats, dataset.leftover)
        changed = {name: value for name, value in more.items() if value not in (None, False)}
        return (*settings, changed) if changed else settings


def length_of(dataset: Dataset, facts: Facts) -> int:
    """What samples of one batch share besides their size; BadSample when they are too short."""
    match dataset.kind:
        case "video":
            stride, offset = dataset.frame_rule
            return frame_count(facts, dataset.video, stride=stride, offset=offset)
        case "audio":
            return round(100 * seconds_of(facts, dataset.audio))
        case _:
            return 1


def draw_of(dataset: Dataset, content: bytes, crop: int = 0) -> Draw:
    """The draws of a crop follow the picture, not its name: renaming a file or a dataset must
    not encode it again."""
    if not (dataset.geometry.moved or dataset.geometry.varied):
        return MIDDLE
    return drawn(dataset.seed, int.from_bytes(content, "little"), crop)
