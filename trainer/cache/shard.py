"""Bytes of a shard: entries one after the other, in the safetensors layout.

Any safetensors reader opens a shard; we read one entry as one exact byte range, which the index
remembers. Tensors of an entry lie together, widest type first, so every view into the entry's
bytes is aligned for its type.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from math import prod
from zlib import crc32

import torch
from torch import Tensor

Entry = Mapping[str, Tensor]
Layout = list[tuple[str, str, list[int]]]  # name, dtype code, shape

DTYPES: dict[str, torch.dtype] = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "I64": torch.int64,
    "I32": torch.int32,
    "I16": torch.int16,
    "I8": torch.int8,
    "U8": torch.uint8,
    "BOOL": torch.bool,
}
CODES = {dtype: code for code, dtype in DTYPES.items()}


@dataclass(frozen=True, slots=True)
class Place:
    """Where an entry lies in its shard, and how to take it apart."""

    offset: int
    num_bytes: int
    layout: str  # JSON of Layout
    crc: int


def pack(entries: Mapping[bytes, Entry]) -> tuple[bytes, dict[bytes, Place]]:
    """A complete safetensors file, and the place of each entry in it."""
    header: dict[str, object] = {"__metadata__": {"format": "pt"}}
    blocks: list[bytes] = []
    spans: dict[bytes, tuple[int, int, str, int]] = {}
    position = 0

    for key, entry in entries.items():
        start, crc, layout = position, 0, []
        for name, tensor in sorted(entry.items(), key=lambda e: (-e[1].element_size(), e[0])):
            code, shape, data = CODES[tensor.dtype], list(tensor.shape), _bytes(tensor)
            offsets = [position, position + len(data)]
            header[f"{key.hex()}/{name}"] = {"dtype": code, "shape": shape, "data_offsets": offsets}
            layout.append((name, code, shape))
            blocks.append(data)
            position += len(data)
            crc = crc32(data, crc)
        spans[key] = (start, position - start, json.dumps(layout), crc)

    head = json.dumps(header, separators=(",", ":")).encode()
    head += b" " * (-len(head) % 8)
    base = 8 + len(head)
    places = {
        key: Place(base + at, size, text, crc) for key, (at, size, text, crc) in spans.items()
    }
    return b"".join([len(head).to_bytes(8, "little"), head, *blocks]), places


def _bytes(tensor: Tensor) -> bytes:
    flat = tensor.detach().to("cpu").contiguous().reshape(-1)
    return flat.view(torch.uint8).numpy().tobytes() if flat.numel() else b""


def unpack(data: Tensor, layout: str) -> dict[str, Tensor]:
    """The tensors of an entry as views into its bytes."""
    return {
        name: data[start:end].view(dtype).reshape(shape)
        for name, dtype, shape, start, end in _cuts(layout)
    }


@lru_cache(maxsize=4096)
def _cuts(layout: str) -> list[tuple[str, torch.dtype, list[int], int, int]]:
    cuts, position = [], 0
    for name, code, shape in json.loads(layout):
        size = prod(shape) * DTYPES[code].itemsize
        cuts.append((name, DTYPES[code], shape, position, position + size))
        position += size
    return cuts
