"""The usable samples of one dataset, in columns: ten million rows are a few arrays.

What follows from a row (captions, placement) is worked out when it is asked for. A row is turned
into an `Item` only where a sample is encoded or trained on.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from hashlib import blake2b
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from trainer.cache.keys import KEY_BYTES
from trainer.data.dataset import Dataset
from trainer.data.funnel import Funnel
from trainer.data.geometry import Placement, place
from trainer.data.index import Row
from trainer.data.sources.base import Source
from trainer.data.strings import Packer, Strings, column
from trainer.rng import stream_seed, unit

Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Item:
    """One sample."""

    sample_id: int
    source: Source
    relpath: str
    locator: str
    content: bytes
    width: int
    height: int
    placement: Placement
    captions: tuple[str, ...]
    background: str

    def open(self) -> BinaryIO:
        return self.source.open(self.relpath, self.locator)


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """Rows sorted by path."""

    dataset: Dataset
    ids: Ints
    sizes: NDArray[np.int32]  # [n, 2] width, height
    contents: NDArray[np.uint8]  # [n, KEY_BYTES]
    relpaths: Strings
    locators: Strings
    file_texts: Strings  # of the caption file, "" where there is none

    def __len__(self) -> int:
        return len(self.ids)

    def captions(self, row: int) -> tuple[str, ...]:
        return self.dataset.captions(self.relpaths[row], self.file_texts[row])

    def item(self, row: int) -> Item:
        width, height = map(int, self.sizes[row])
        content = self.contents[row].tobytes()
        return Item(
            sample_id=int(self.ids[row]),
            source=self.dataset.source,
            relpath=self.relpaths[row],
            locator=self.locators[row],
            content=content,
            width=width,
            height=height,
            placement=place(width, height, self.dataset.geometry, self._draw(content)),
            captions=self.captions(row),
            background=self.dataset.background,
        )

    def _draw(self, content: bytes) -> tuple[float, float]:
        """Position of a random crop. It follows the picture, not its name: renaming a file or a
        dataset must not encode it again."""
        if self.dataset.geometry.position != "random":
            return (0.5, 0.5)
        number = int.from_bytes(content, "little")
        x, y = (stream_seed(self.dataset.seed, number, 0, f"crop-{axis}") for axis in "xy")
        return unit(x), unit(y)

    def items(self) -> Iterator[Item]:
        return map(self.item, range(len(self)))

    def take(self, rows: Ints) -> Table:
        """The table of only these rows."""
        return replace(
            self,
            ids=self.ids[rows],
            sizes=self.sizes[rows],
            contents=self.contents[rows],
            relpaths=self.relpaths.take(rows),
            locators=self.locators.take(rows),
            file_texts=self.file_texts.take(rows),
        )

    def digest(self) -> bytes:
        """Of everything that shapes the samples; places and names of folders do not."""
        dataset = self.dataset
        caption = dataset.caption.model_dump(exclude_defaults=True)  # new keys must not matter
        settings = (dataset.id, dataset.geometry, caption, dataset.missing_caption)
        settings += (dataset.background, dataset.repeats, dataset.leftover)
        hasher = blake2b(repr(settings).encode(), digest_size=KEY_BYTES)
        for values in (self.ids, self.sizes, self.contents, self.file_texts.ends):
            hasher.update(values.tobytes())
        hasher.update(self.file_texts.packed)
        return hasher.digest()


def sample_id(dataset: str, relpath: str) -> int:
    """63-bit number of a sample: its name, not its position."""
    digest = blake2b(f"{dataset}/{relpath}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 1


def make_table(dataset: Dataset, rows: Iterable[Row], funnel: Funnel) -> Table:
    """Pass the rows of an index through the funnel; what is left becomes the table."""
    ids, sizes, contents = array("q"), array("i"), bytearray()
    relpaths, locators, file_texts = Packer(), Packer(), Packer()
    for row in _usable(dataset, rows, funnel):
        assert row.content is not None
        ids.append(sample_id(dataset.id, row.relpath))
        sizes.extend((row.facts.width, row.facts.height))
        contents += row.content
        relpaths.add(row.relpath)
        locators.add(row.locator)
        file_texts.add(row.text or "")
    table = Table(
        dataset=dataset,
        ids=column(ids),
        sizes=np.array(sizes, dtype=np.int32).reshape(-1, 2),
        contents=np.frombuffer(contents, dtype=np.uint8).reshape(-1, KEY_BYTES),
        relpaths=relpaths.done(),
        locators=locators.done(),
        file_texts=file_texts.done(),
    )
    if dataset.max_samples is not None and len(table) > dataset.max_samples:
        table = table.take(np.sort(np.argsort(table.ids)[: dataset.max_samples]))
    funnel.used = len(table)
    return table


def _usable(dataset: Dataset, rows: Iterable[Row], funnel: Funnel) -> Iterator[Row]:
    for row in rows:
        funnel.found += 1
        facts = row.facts
        small = min(facts.width, facts.height) < dataset.min_size
        if row.reason is not None or (row.content is None and not small):
            funnel.lose("unreadable", row.relpath, row.reason or "it changed during the scan")
            continue
        funnel.readable += 1
        if small:
            funnel.lose("small", row.relpath, f"{facts.width} x {facts.height}")
            continue
        funnel.large_enough += 1
        if not dataset.captions(row.relpath, row.text):
            kind = "uncaptioned" if row.text_reason is None else "bad caption"
            funnel.lose(kind, row.relpath, row.text_reason or "there is no caption file beside it")
            continue
        funnel.captioned += 1
        yield row
