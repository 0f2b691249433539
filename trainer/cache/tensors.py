"""Entries as named tensors, and as the bytes that a shard keeps of them.

Tensors of an entry lie together, widest type first, so every view into the entry's bytes is
aligned for its type.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from math import prod
from zlib import crc32

import torch
from torch import Tensor

from trainer.cache.shard import Raw

Entry = Mapping[str, Tensor]

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


def to_raw(entry: Entry) -> Raw:
    """The bytes of an entry; KeyError for a type that the format has no name for."""
    layout, parts = [], []
    for name, tensor in sorted(entry.items(), key=lambda e: (-e[1].element_size(), e[0])):
        layout.append((name, CODES[tensor.dtype], list(tensor.shape)))
        parts.append(_bytes(tensor))
    data = b"".join(parts)
    return Raw(data, json.dumps(layout), crc32(data))


def _bytes(tensor: Tensor) -> bytes:
    flat = tensor.detach().to("cpu").contiguous().reshape(-1)
    return flat.view(torch.uint8).numpy().tobytes() if flat.numel() else b""


def unpack(data: bytearray, layout: str) -> dict[str, Tensor]:
    """The tensors of an entry as views into its bytes."""
    whole = torch.frombuffer(data, dtype=torch.uint8) if data else torch.empty(0, dtype=torch.uint8)
    return {
        name: whole[start:end].view(dtype).reshape(shape)
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


def num_bytes(entry: Entry) -> int:
    return sum(tensor.nbytes for tensor in entry.values())
