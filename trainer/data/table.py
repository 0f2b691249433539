"""The usable samples of one dataset, in columns: ten million rows are a few arrays.

What follows from a row (captions, placement) is worked out when it is asked for. A row is turned
into an `Item` only where a sample is encoded or trained on.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from hashlib import blake2b
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from trainer.cache.keys import KEY_BYTES
from trainer.config.schema.data import CaptionConfig
from trainer.data.captions import name_as_text, variants
from trainer.data.course import Leftover
from trainer.data.funnel import Funnel
from trainer.data.geometry import GeometrySpec, Placement, place
from trainer.data.index import Row
from trainer.data.strings import Packer, Strings, column
from trainer.rng import stream_seed, unit

Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A dataset with all its settings filled in."""

    id: str
    root: Path
    geometry: GeometrySpec
    caption: CaptionConfig
    missing_caption: Literal["fail", "skip", "filename", "empty"]
    background: str
    seed: int  # of random crops
    repeats: int = 1
    leftover: Leftover = "carry"
    min_size: int = 1
    max_samples: int | None = None

    def captions(self, relpath: str, file_text: str | None) -> tuple[str, ...]:
        """Caption variants of a picture, with the fallback for those without; may be empty."""
        texts = variants(relpath, file_text, self.caption)
        if texts or self.missing_caption in ("fail", "skip"):
            return texts
        return ("",) if self.missing_caption == "empty" else (name_as_text(relpath),)


@dataclass(frozen=True, slots=True)
class Item:
    """One sample."""

    sample_id: int
    path: Path
    content: bytes
    width: int
    height: int
    placement: Placement
    captions: tuple[str, ...]
    background: str


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """Rows sorted by path."""

    source: Source
    ids: Ints
    sizes: NDArray[np.int32]  # [n, 2] width, height
    contents: NDArray[np.uint8]  # [n, KEY_BYTES]
    relpaths: Strings
    file_texts: Strings  # of the caption file, "" where there is none

    def __len__(self) -> int:
        return len(self.ids)

    def captions(self, row: int) -> tuple[str, ...]:
        return self.source.captions(self.relpaths[row], self.file_texts[row])

    def item(self, row: int) -> Item:
        width, height = map(int, self.sizes[row])
        content = self.contents[row].tobytes()
        return Item(
            sample_id=int(self.ids[row]),
            path=self.source.root / self.relpaths[row],
            content=content,
            width=width,
            height=height,
            placement=place(width, height, self.source.geometry, self._draw(content)),
            captions=self.captions(row),
            background=self.source.background,
        )

    def _draw(self, content: bytes) -> tuple[float, float]:
        """Position of a random crop. It follows the picture, not its name: renaming a file or a
        dataset must not encode it again."""
        if self.source.geometry.position != "random":
            return (0.5, 0.5)
        number = int.from_bytes(content, "little")
        x, y = (stream_seed(self.source.seed, number, 0, f"crop-{axis}") for axis in "xy")
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
            file_texts=self.file_texts.take(rows),
        )

    def digest(self) -> bytes:
        """Of everything that shapes the samples; places and names of folders do not."""
        source = self.source
        caption = source.caption.model_dump(exclude_defaults=True)  # new keys must not matter
        settings = (source.id, source.geometry, caption, source.missing_caption)
        settings += (source.background, source.repeats, source.leftover)
        hasher = blake2b(repr(settings).encode(), digest_size=KEY_BYTES)
        for values in (self.ids, self.sizes, self.contents, self.file_texts.ends):
            hasher.update(values.tobytes())
        hasher.update(self.file_texts.packed)
        return hasher.digest()


def sample_id(dataset: str, relpath: str) -> int:
    """63-bit number of a sample: its name, not its position."""
    digest = blake2b(f"{dataset}/{relpath}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 1


def make_table(source: Source, rows: Iterable[Row], funnel: Funnel) -> Table:
    """Pass the rows of an index through the funnel; what is left becomes the table."""
    ids, sizes, contents = array("q"), array("i"), bytearray()
    relpaths, file_texts = Packer(), Packer()
    for row in _usable(source, rows, funnel):
        assert row.content is not None
        ids.append(sample_id(source.id, row.relpath))
        sizes.extend((row.width, row.height))
        contents += row.content
        relpaths.add(row.relpath)
        file_texts.add(row.text or "")
    table = Table(
        source=source,
        ids=column(ids),
        sizes=np.array(sizes, dtype=np.int32).reshape(-1, 2),
        contents=np.frombuffer(contents, dtype=np.uint8).reshape(-1, KEY_BYTES),
        relpaths=relpaths.done(),
        file_texts=file_texts.done(),
    )
    if source.max_samples is not None and len(table) > source.max_samples:
        table = table.take(np.sort(np.argsort(table.ids)[: source.max_samples]))
    funnel.used = len(table)
    return table


def _usable(source: Source, rows: Iterable[Row], funnel: Funnel) -> Iterator[Row]:
    for row in rows:
        funnel.found += 1
        small = min(row.width, row.height) < source.min_size
        if row.reason is not None or (row.content is None and not small):
            funnel.lose("unreadable", row.relpath, row.reason or "it changed during the scan")
            continue
        funnel.readable += 1
        if small:
            funnel.lose("small", row.relpath, f"{row.width} x {row.height}")
            continue
        funnel.large_enough += 1
        if not source.captions(row.relpath, row.text):
            kind = "uncaptioned" if row.text_reason is None else "bad caption"
            funnel.lose(kind, row.relpath, row.text_reason or "there is no .txt file beside it")
            continue
        funnel.captioned += 1
        yield row
