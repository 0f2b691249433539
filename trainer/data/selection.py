"""From the rows of an index to the table of those that are used; every other row has a reason."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator
from dataclasses import replace
from hashlib import blake2b
from math import nan

import numpy as np

from trainer.cache.keys import KEY_BYTES
from trainer.data.bad import BadSample
from trainer.data.dataset import Dataset
from trainer.data.funnel import Funnel, Stage
from trainer.data.index import Row
from trainer.data.probe import Facts
from trainer.data.reference_geometry import with_stored_sizes
from trainer.data.refusal import Refusal, refusal
from trainer.data.strings import Packer, column
from trainer.data.table import Table, draw_of, length_of


def sample_id(dataset: str, relpath: str) -> int:
    """63-bit number of a sample: its name, not its position."""
    digest = blake2b(f"{dataset}/{relpath}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 1


def make_table(dataset: Dataset, rows: Iterable[Row], funnel: Funnel) -> Table:
    """Pass the rows of an index through the funnel; what is left becomes the table."""
    ids, sizes, contents = array("q"), array("i"), bytearray()
    moving, focus = array("d"), array("d")
    relpaths, locators, file_texts = Packer(), Packer(), Packer()
    for row in _usable(dataset, rows, funnel):
        assert row.content is not None
        ids.append(sample_id(dataset.id, row.relpath))
        sizes.extend(row.facts[:2])
        if dataset.kind != "image":
            moving.extend(row.facts[2:])
        if dataset.geometry.position == "face":
            focus.extend(row.focus or (nan, nan))
        contents += row.content
        relpaths.add(row.relpath)
        locators.add(row.locator)
        file_texts.add(row.text or "")
    table = Table(
        dataset=dataset,
        ids=column(ids),
        sizes=np.array(sizes, dtype=np.int32).reshape(-1, 2),
        moving=np.array(moving, dtype=np.float64).reshape(-1, 5),
        focus=np.array(focus, dtype=np.float64).reshape(-1, 2),
        contents=np.frombuffer(contents, dtype=np.uint8).reshape(-1, KEY_BYTES),
        relpaths=relpaths.done(),
        locators=locators.done(),
        file_texts=file_texts.done(),
    )
    if dataset.max_samples is not None and len(table) > dataset.max_samples:
        table = table.take(np.sort(np.argsort(table.ids)[: dataset.max_samples]))
    funnel.used = len(table)
    return with_reference_sizes(table)


def with_reference_sizes(table: Table) -> Table:
    """Reference sizes depend on the pictures before; here on their order by path."""
    spec = table.dataset.geometry
    if spec.sizes != "reference":
        return table
    sizes, inverse, _ = table.by_size
    firsts = np.unique(inverse, return_index=True)[1]
    spec = with_stored_sizes(spec, [sizes[i] for i in np.argsort(firsts)])
    return replace(table, dataset=replace(table.dataset, geometry=spec))


_STAGES: dict[str, Stage] = {"small": "small", "aspect": "shape", "upscale": "shape"}


def _usable(dataset: Dataset, rows: Iterable[Row], funnel: Funnel) -> Iterator[Row]:
    refused = _Refusals(dataset)
    for row in rows:
        funnel.found += 1
        small = refused.small(row.facts)
        if row.reason is not None or (row.content is None and not small):
            funnel.lose("unreadable", row.relpath, row.reason or "it changed during the scan")
            continue
        funnel.readable += 1
        if (why := small or refused.of(row)) is not None:
            funnel.lose(_STAGES[why[0]], row.relpath, why[1])
            continue
        try:
            length_of(dataset, row.facts)
        except BadSample as error:
            funnel.lose("short", row.relpath, str(error))
            continue
        funnel.large_enough += 1
        if not dataset.captions(row.relpath, row.text):
            kind = "uncaptioned" if row.text_reason is None else "bad caption"
            reason = row.text_reason or "there is no caption file beside it"
            funnel.lose(kind, row.relpath, reason)
            continue
        funnel.captioned += 1
        yield row


class _Refusals:
    """What the geometry refuses, asked once per size where no draw matters."""

    def __init__(self, dataset: Dataset) -> None:
        self._dataset = dataset
        self._known: dict[tuple[int, int], Refusal | None] = {}

    def small(self, facts: Facts) -> Refusal | None:
        """Too small to be worth hashing; what has no picture has no size."""
        if 0 < min(facts.width, facts.height) < self._dataset.geometry.min_size:
            return "small", f"{facts.width} x {facts.height}"
        return None

    def of(self, row: Row) -> Refusal | None:
        size, spec = row.facts[:2], self._dataset.geometry
        if not min(size):
            return None
        if spec.varied:
            assert row.content is not None
            return refusal(*size, spec, draw_of(self._dataset, row.content))
        if size not in self._known:
            self._known[size] = refusal(*size, spec)
        return self._known[size]
