"""Where tar shards lie: on disk or in a bucket. Both list shards and read ranges of them."""

from __future__ import annotations

import errno
import glob
import os
import re
from collections.abc import Iterator
from fnmatch import fnmatchcase
from hashlib import blake2b
from pathlib import Path
from typing import NamedTuple, Protocol

from trainer.data.sources.base import Stamp
from trainer.data.sources.local import stamp_of
from trainer.data.sources.names import is_hidden
from trainer.data.sources.objects import Bucket
from trainer.errors import DataError
from trainer.findings import finding

TAR = ".tar"
COMPRESSED = re.compile(r"\.(tgz|tbz2?|txz|tzst|tar\.(gz|bz2|xz|zst|lz4|lzma))$", re.IGNORECASE)


class Shard(NamedTuple):
    """One shard; `name` is relative to what holds all of them."""

    name: str
    size: int
    stamp: Stamp
    etag: str = ""
    digest: bytes | None = None

    def token(self) -> str:
        """Eight digits that change with the shard."""
        return blake2b(repr(self.stamp).encode(), digest_size=4).hexdigest()


class Shards(Protocol):
    """A set of shards."""

    hashed: bool  # contents are known by their bytes, not by the ETag of the shard

    @property
    def name(self) -> str: ...

    def listed(self) -> Iterator[Shard]:
        """All shards, sorted as the paths of what they hold; DataError."""
        ...

    def read(self, shard: Shard, start: int, stop: int) -> bytes:
        """A range of a shard; OSError when it changed or cannot be read."""
        ...

    def demand(self) -> None:
        """DataError when nothing can be read for now."""
        ...

    def close(self) -> None: ...


class LocalShards:
    """A shard, a folder with shards at any depth, or a pattern as "sets/0000*.tar"."""

    hashed = True

    def __init__(self, path: str) -> None:
        self._path = path
        fixed = Path(path)
        while glob.has_magic(str(fixed)):
            fixed = fixed.parent
        self._root = fixed if fixed != Path(path) or fixed.is_dir() else fixed.parent

    @property
    def name(self) -> str:
        return self._path

    def listed(self) -> Iterator[Shard]:
        found = sorted(self._found(), key=lambda name: f"{name}/")
        if not found:
            raise no_shards(self._path, "no .tar file is there")
        for name in found:
            try:
                info = os.stat(self._root / name)
            except OSError as error:
                raise no_shards(self._path, f"{name}: {error.strerror}") from error
            yield Shard(name, info.st_size, stamp_of(info))

    def read(self, shard: Shard, start: int, stop: int) -> bytes:
        fd = os.open(self._root / shard.name, os.O_RDONLY)
        try:
            if stamp_of(os.fstat(fd)) != shard.stamp:
                raise changed(shard.name)
            parts = []
            while start < stop and (part := os.pread(fd, stop - start, start)):
                parts.append(part)
                start += len(part)
            return b"".join(parts)
        finally:
            os.close(fd)

    def demand(self) -> None:
        pass

    def close(self) -> None:
        pass

    def _found(self) -> Iterator[str]:
        path = Path(self._path)
        if glob.has_magic(self._path):
            every = (Path(p) for p in glob.iglob(self._path, recursive=True))
        elif path.is_dir():
            every = (Path(folder) / name for folder, _, names in os.walk(path) for name in names)
        elif path.exists():
            every = iter((path,))
        else:
            raise no_shards(self._path, "it does not exist")
        for file in every:
            name = file.relative_to(self._root).as_posix()
            if not is_hidden(name) and is_shard(name, self._path):
                yield name


class RemoteShards:
    """The shards of a bucket below a prefix, which may be a pattern."""

    hashed = False

    def __init__(self, bucket: Bucket, prefix: str) -> None:
        self._bucket = bucket
        self._pattern = prefix if glob.has_magic(prefix) else None
        self._prefix = re.split(r"[*?\[]", prefix, maxsplit=1)[0]
        self._folder = self._prefix[: self._prefix.rfind("/") + 1]
        self._full = prefix

    @property
    def name(self) -> str:
        return self._bucket.place.url(self._full)

    def listed(self) -> Iterator[Shard]:
        found = []
        for one in self._bucket.objects(self._prefix):
            name = one.key[len(self._folder) :]
            fits = self._pattern is None or fnmatchcase(one.key, self._pattern)
            if fits and not is_hidden(name) and is_shard(name, self.name):
                found.append(Shard(name, one.size, one.stamp, one.etag, one.digest))
        if not found:
            raise no_shards(self.name, "no .tar object is there")
        yield from sorted(found, key=lambda shard: f"{shard.name}/")

    def read(self, shard: Shard, start: int, stop: int) -> bytes:
        return self._bucket.read(self._folder + shard.name, shard.etag, start, stop)

    def demand(self) -> None:
        self._bucket.demand()

    def close(self) -> None:
        self._bucket.close()


def is_shard(name: str, place: str) -> bool:
    """Whether a file is a shard; a compressed one is an error rather than left out silently."""
    if COMPRESSED.search(name):
        raise compressed(name, place)
    return name.lower().endswith(TAR)


def changed(name: str) -> OSError:
    return OSError(errno.EIO, f"{name} changed since it was scanned")


def compressed(name: str, place: str) -> DataError:
    return DataError(
        finding(
            "DAT025",
            f"the shard {name} is compressed",
            where=place,
            why="single pictures can be read from anywhere in a plain tar only; they are "
            "compressed already, so little space is lost",
            fix="unpack it to a .tar (gunzip, unzstd)",
        )
    )


def no_shards(place: str, why: str) -> DataError:
    return DataError(
        finding(
            "DAT026",
            f"there are no shards at {place}: {why}",
            where=place,
            fix="set source.path to a .tar file, a folder with such files, a pattern as "
            '"sets/*.tar", or s3://BUCKET/PREFIX',
        )
    )
