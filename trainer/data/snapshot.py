"""The columns of a large table, frozen in an Arrow file and mapped into memory.

Reading ten million rows from SQLite takes minutes, mapping them milliseconds; all processes of a
host share the pages. A snapshot is bound to the state of its index and to the settings that chose
its rows; any other is made anew. Small tables are read faster without.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, fields
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trainer.cache.keys import KEY_BYTES
from trainer.data.dataset import Dataset
from trainer.data.funnel import Funnel, Loss
from trainer.data.selection import with_reference_sizes
from trainer.data.strings import Strings
from trainer.data.table import Table

FORMAT = "table/1"
MIN_ROWS = 50_000


def tag_of(dataset: Dataset, generation: int) -> str:
    """What the rows of a table follow from."""
    chosen = (
        dataset.id,
        dataset.kind,
        dataset.role,
        dataset.caption.model_dump(exclude_defaults=True),
        dataset.missing_caption,
        dataset.max_samples,
        dataset.overlay.digest,
        dataset.geometry,
        dataset.video.model_dump(exclude_defaults=True),
        dataset.audio.model_dump(exclude_defaults=True),
    )
    text = repr((FORMAT, generation, chosen))
    return blake2b(text.encode(), digest_size=12).hexdigest()


def save(path: Path, tag: str, table: Table, funnel: Funnel) -> None:
    """Freeze `table` and what became of the rows that are not in it."""
    import pyarrow as pa

    columns: dict[str, Any] = {
        "id": _plain(pa.int64(), table.ids),
        "size": _plain(pa.binary(8), table.sizes),
        "content": _plain(pa.binary(KEY_BYTES), table.contents),
        "relpath": _texts(table.relpaths),
        "locator": _texts(table.locators),
        "text": _texts(table.file_texts),
    }
    for name, values, size in (("moving", table.moving, 40), ("focus", table.focus, 16)):
        if len(values):
            columns[name] = _plain(pa.binary(size), values)
    head = {
        "tag": tag,
        "columns_digest": table.columns_digest.hex(),
        "funnel": {**asdict(funnel), "lost": {k: asdict(v) for k, v in funnel.lost.items()}},
    }
    schema = pa.schema(
        [(name, column.type) for name, column in columns.items()],
        metadata={"stune": json.dumps(head)},
    )
    batch = pa.RecordBatch.from_arrays(list(columns.values()), schema=schema)
    place = path.with_name(f".{path.name}.{os.getpid()}")
    with pa.OSFile(str(place), "wb") as sink, pa.ipc.new_file(sink, schema) as writer:
        writer.write_batch(batch)
    os.replace(place, path)  # a torn file is recognised and made anew, so nothing is synced


def load(path: Path, tag: str, dataset: Dataset) -> tuple[Table, Funnel] | None:
    """The table frozen under `tag`, mapped; None when there is none."""
    if not path.exists():
        return None
    import pyarrow as pa

    try:
        reader = pa.ipc.open_file(pa.memory_map(str(path)))
        head = json.loads((reader.schema.metadata or {}).get(b"stune", b"{}"))
        if head.get("tag") != tag:
            return None
        batch = reader.get_batch(0)
    except (pa.ArrowInvalid, OSError, ValueError, IndexError):
        return None  # damaged or unfinished: made anew
    count = batch.num_rows
    moving, focus = (
        _values(batch.column(name), np.float64).reshape(count, width)
        if name in reader.schema.names
        else np.empty((0, width))
        for name, width in (("moving", 5), ("focus", 2))
    )
    table = Table(
        dataset=dataset,
        ids=_values(batch.column("id"), np.int64),
        sizes=_values(batch.column("size"), np.int32).reshape(count, 2),
        moving=moving,
        focus=focus,
        contents=_values(batch.column("content"), np.uint8).reshape(count, KEY_BYTES),
        relpaths=_strings(batch.column("relpath")),
        locators=_strings(batch.column("locator")),
        file_texts=_strings(batch.column("text")),
    )
    table.__dict__["columns_digest"] = bytes.fromhex(head["columns_digest"])
    known = {f.name for f in fields(Funnel)}
    told = {k: v for k, v in head["funnel"].items() if k in known}
    lost = {
        stage: Loss(loss["count"], [(name, reason) for name, reason in loss["examples"]])
        for stage, loss in told.pop("lost").items()
    }
    return with_reference_sizes(table), Funnel(**told, lost=lost)


def _plain(kind: Any, values: NDArray[Any]) -> Any:
    import pyarrow as pa

    data = pa.py_buffer(np.ascontiguousarray(values))
    return pa.Array.from_buffers(kind, len(values), [None, data])


def _texts(texts: Strings) -> Any:
    import pyarrow as pa

    offsets = np.concatenate(([0], texts.ends)).astype(np.int64)
    buffers = [None, pa.py_buffer(offsets), pa.py_buffer(texts.packed)]
    return pa.Array.from_buffers(pa.large_binary(), len(texts), buffers)


def _values(column: Any, dtype: type) -> NDArray[Any]:
    return np.frombuffer(column.buffers()[1], dtype=dtype)


def _strings(column: Any) -> Strings:
    _, offsets, data = column.buffers()
    packed = memoryview(data) if data is not None else memoryview(b"")
    return Strings(packed, np.frombuffer(offsets, dtype=np.int64)[1 : len(column) + 1])
