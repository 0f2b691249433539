"""Bytes of a shard: entries one after the other, in the safetensors layout.

Any safetensors reader opens a shard; we read one entry as one exact byte range, which the index
remembers. Nothing here knows tensors, so shards are copied, checked and sent without torch.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from math import prod

Layout = list[tuple[str, str, list[int]]]  # name, dtype code, shape
SIZES = {  # bytes per number
    "F64": 8,
    "I64": 8,
    "F32": 4,
    "I32": 4,
    "F16": 2,
    "BF16": 2,
    "I16": 2,
    "I8": 1,
    "U8": 1,
    "BOOL": 1,
}


@dataclass(frozen=True, slots=True)
class Raw:
    """An entry as bytes: its tensors without gaps, in the order of the layout."""

    data: bytes | bytearray
    layout: str  # JSON of Layout
    crc: int  # CRC-32 of the data


@dataclass(frozen=True, slots=True)
class Place:
    """Where an entry lies in its shard, and how to take it apart."""

    offset: int
    num_bytes: int
    layout: str
    crc: int


def pack(entries: Mapping[bytes, Raw]) -> tuple[bytes, dict[bytes, Place]]:
    """A complete safetensors file, and the place of each entry in it."""
    header: dict[str, object] = {"__metadata__": {"format": "pt"}}
    starts: dict[bytes, int] = {}
    position = 0
    for key, raw in entries.items():
        starts[key] = position
        for name, tensor in tensors_of(key, raw.layout, position).items():
            header[name] = tensor
        position += len(raw.data)
    head = json.dumps(header, separators=(",", ":")).encode()
    head += b" " * (-len(head) % 8)
    base = 8 + len(head)
    places = {
        key: Place(base + starts[key], len(raw.data), raw.layout, raw.crc)
        for key, raw in entries.items()
    }
    parts = [len(head).to_bytes(8, "little"), head, *(raw.data for raw in entries.values())]
    return b"".join(parts), places


def tensors_of(key: bytes, layout: str, start: int) -> dict[str, dict[str, object]]:
    """What the header says of an entry whose bytes begin at `start` of the data."""
    found: dict[str, dict[str, object]] = {}
    for name, code, shape in json.loads(layout):
        end = start + prod(shape) * SIZES[code]
        found[f"{key.hex()}/{name}"] = {
            "dtype": code,
            "shape": shape,
            "data_offsets": [start, end],
        }
        start = end
    return found


def size_of(layout: str) -> int:
    """Bytes that a layout describes; ValueError when it is none."""
    try:
        parts = json.loads(layout)
        for name, _, shape in parts:
            if not isinstance(name, str) or any(type(n) is not int or n < 0 for n in shape):
                raise ValueError(layout)
        return sum(prod(shape) * SIZES[code] for _, code, shape in parts)
    except (TypeError, KeyError, RecursionError) as error:
        raise ValueError(layout) from error


def read_header(start: bytes) -> tuple[int, dict[str, object]]:
    """Where the data of a shard begin, and its header; ValueError when it is not readable."""
    length = int.from_bytes(start[:8], "little")
    if len(start) < 8 + length:
        raise ValueError("the header is cut off")
    header = json.loads(start[8 : 8 + length])
    if not isinstance(header, dict):
        raise ValueError("the header is not an object")
    return 8 + length, header
