"""Safetensors files read and written one tensor at a time.

The library maps whole files into memory, and pages that were looked at stay counted; here a tensor
is read into a buffer of its own, and a file is written in the order of its header. So the memory
in use is that of a few tensors, whatever the size of the model.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import torch
from torch import Tensor

from trainer.errors import DataError
from trainer.findings import finding

DTYPES: dict[str, torch.dtype] = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "F8_E4M3": torch.float8_e4m3fn,
    "F8_E5M2": torch.float8_e5m2,
    "I64": torch.int64,
    "I32": torch.int32,
    "I16": torch.int16,
    "I8": torch.int8,
    "U8": torch.uint8,
    "BOOL": torch.bool,
}


@dataclass(frozen=True, slots=True)
class Stored:
    """Where a tensor lies."""

    file: Path
    dtype: str
    shape: tuple[int, ...]
    start: int
    num_bytes: int

    def read(self) -> Tensor:
        if not self.num_bytes:
            return torch.empty(self.shape, dtype=DTYPES[self.dtype])
        buffer = bytearray(self.num_bytes)
        with self.file.open("rb") as stream:
            stream.seek(self.start)
            if stream.readinto(buffer) != self.num_bytes:
                raise unreadable(self.file, "the file is cut off")
        return torch.frombuffer(buffer, dtype=DTYPES[self.dtype]).view(self.shape)


def unreadable(file: Path, why: str) -> DataError:
    return DataError(
        finding("LOR032", f"cannot read {file}: {why}", where=str(file), fix="get the file again")
    )


def header(file: Path) -> tuple[dict[str, Stored], dict[str, str]]:
    """Tensors in the order of the file, and its metadata."""
    try:
        size = file.stat().st_size
        with file.open("rb") as stream:
            (length,) = struct.unpack("<Q", stream.read(8))
            if length > size:
                raise ValueError("it is no safetensors file")
            table: dict[str, Any] = json.loads(stream.read(length))
        metadata = table.pop("__metadata__", {})
        found = {name: _stored(file, 8 + length, entry) for name, entry in table.items()}
    except (OSError, ValueError, KeyError, TypeError, struct.error) as error:
        raise unreadable(file, str(error)) from error
    if any(held.start + held.num_bytes > size for held in found.values()):
        raise unreadable(file, "the file is cut off")
    return dict(sorted(found.items(), key=lambda item: item[1].start)), metadata


def _stored(file: Path, base: int, entry: Mapping[str, Any]) -> Stored:
    start, end = entry["data_offsets"]
    if entry["dtype"] not in DTYPES:
        raise ValueError(f"its dtype {entry['dtype']} is not known")
    return Stored(file, entry["dtype"], tuple(entry["shape"]), base + start, end - start)


def rewrite(source: Path, target: Path, changed: Mapping[str, Callable[[Tensor], Tensor]]) -> None:
    """The same file with some tensors changed; shapes and dtypes stay."""
    held, metadata = header(source)
    table: dict[str, Any] = {"__metadata__": metadata} if metadata else {}
    at = 0
    for name, stored in held.items():
        table[name] = {
            "dtype": stored.dtype,
            "shape": list(stored.shape),
            "data_offsets": [at, at + stored.num_bytes],
        }
        at += stored.num_bytes
    text = json.dumps(table, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with target.open("wb") as stream:
        stream.write(struct.pack("<Q", len(text)) + text)
        for name, stored in held.items():
            _copy(stored, stream, changed.get(name))


def _copy(stored: Stored, stream: BinaryIO, change: Callable[[Tensor], Tensor] | None) -> None:
    """One tensor; all of it is released before the next one is read."""
    if not stored.num_bytes:
        return
    tensor = stored.read()
    if change is not None:
        made = change(tensor).to(tensor.dtype).contiguous()
        assert made.shape == tensor.shape, stored
        tensor = made
    stream.write(tensor.flatten().view(torch.uint8).numpy().data)
