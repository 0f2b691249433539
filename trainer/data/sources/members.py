"""What a tar shard holds: one pass over its headers, skipping what lies between them.

Files with one key make one sample, as WebDataset has it; the key is a name up to its first dot.
"""

from __future__ import annotations

import os
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, NamedTuple

from trainer.data.sources.base import Kind
from trainer.data.sources.names import is_hidden, is_sample

COMPRESSED = {b"\x1f\x8b": "gzip", b"BZh": "bzip2", b"\xfd7zXZ": "xz", b"\x28\xb5\x2f\xfd": "zstd"}
RECORD = 64 << 10  # bytes that are looked at behind the end; tar pads with zeros to 10 KiB


class Member(NamedTuple):
    """A file in a shard; `offset` is that of its first byte."""

    name: str
    offset: int
    size: int


@dataclass(frozen=True, slots=True)
class Contents:
    """The files of a shard in their order; `fault` says why there may be more of them."""

    members: list[Member]
    fault: str | None = None
    compressed: bool = False


def contents(file: BinaryIO) -> Contents:
    """The files of an open tar; one that is cut short has those before the cut. OSError passes.

    Of two files with one name the later counts, as when a tar is unpacked.
    """
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    start = file.read(6)
    file.seek(0)
    for magic, how in COMPRESSED.items():
        if start.startswith(magic):
            return Contents([], f"it is compressed with {how}", compressed=True)
    found: dict[str, Member] = {}
    try:
        with tarfile.open(fileobj=file, mode="r:") as tar:
            while (info := tar.next()) is not None:
                vars(tar)["members"].clear()  # it would keep them all
                name = info.name.removeprefix("./").lstrip("/")
                if not info.isreg() or info.issparse():
                    continue
                if info.offset_data + info.size <= size:
                    found[name] = Member(name, info.offset_data, info.size)
            fault = _unread(file, tar.offset, size)
    except (tarfile.TarError, EOFError, ValueError) as error:
        fault = f"it ends too early: {error}" if found else f"it is not a tar file: {error}"
    if fault and found:
        fault = f"{fault}; {len(found)} files before that are used"
    return Contents(list(found.values()), fault)


def _unread(file: BinaryIO, end: int, size: int) -> str | None:
    """What is wrong where reading ended: a tar ends with blocks of zeros, or with the file."""
    file.seek(end)
    block = file.read(tarfile.BLOCKSIZE)
    if block.strip(b"\0"):
        what = "ends within a header" if len(block) < tarfile.BLOCKSIZE else "has a broken header"
        return f"it {what} at byte {end}"
    after = file.read(min(size - file.tell(), RECORD))
    if after.strip(b"\0"):
        return f"something follows its end at byte {end}, perhaps another tar"
    return None


def samples(
    members: list[Member], kind: Kind, ending: str | None, suffix: str | None
) -> Iterator[tuple[Member, Member | None]]:
    """Samples of a shard, each with the file that holds its caption."""
    files = {m.name: m for m in members if not is_hidden(m.name)}
    media = [name for name in files if is_sample(name, kind, suffix)]
    plain = {_key(name) for name in media if os.path.splitext(name)[0] == _key(name)}
    for name in media:
        stem, key = os.path.splitext(name)[0], _key(name)
        if stem != key and key in plain and not suffix:
            continue
        caption = (files.get(stem + ending) or files.get(key + ending)) if ending else None
        yield files[name], caption


def _key(name: str) -> str:
    folder, slash, base = name.rpartition("/")
    return folder + slash + base.split(".", 1)[0]
