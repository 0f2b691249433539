"""Samples in tar shards, as WebDataset writes them: files with one key make one sample.

The key is a file's name up to the first dot. The headers of a shard are read once, then every
file in it is read by its position. What else has the key, as "0001.mask.png" beside "0001.png",
is no sample of its own but may be a partner.
"""

from __future__ import annotations

import io
import os
import threading
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from functools import partial
from hashlib import blake2b
from pathlib import Path
from typing import BinaryIO, NamedTuple, cast

from trainer.cache.keys import KEY_BYTES
from trainer.data.bad import BadSample
from trainer.data.captions import CaptionFile
from trainer.data.sources.base import Found, Kind, Stamp
from trainer.data.sources.known import KnownShards
from trainer.data.sources.members import Contents, Member, contents, samples
from trainer.data.sources.names import shown
from trainer.data.sources.ranged import RangedFile
from trainer.data.sources.shards import Shard, Shards, changed, compressed

THREADS = 4  # shards whose headers are read at once
FAULT = "!"  # begins the locator of the row that tells what is wrong with a shard


class Tars:
    """Every sample of one kind in the shards; `state` is a folder for what they hold."""

    def __init__(
        self,
        shards: Shards,
        kind: Kind,
        caption: CaptionFile | None,
        suffix: str | None,
        state: Path,
    ) -> None:
        self._shards = shards
        self._kind: Kind = kind
        self._caption = caption
        self._suffix = suffix
        self._state = state
        self._by_name: dict[str, Shard] | None = None
        self._lock = threading.Lock()

    @property
    def hashed(self) -> bool:
        return self._shards.hashed

    @property
    def name(self) -> str:
        return self._shards.name

    @property
    def identity(self) -> str:
        return f"tar|{self.name}|{self._kind}|{self._caption and self._caption.tag}|{self._suffix}"

    def listing(self) -> Iterator[Found]:
        shards = list(self._shards.listed())
        self._by_name = {shard.name: shard for shard in shards}
        tag = blake2b(os.fsencode(self.name), digest_size=6).hexdigest()
        with closing(KnownShards(self._state / f"shards-{tag}.db")) as known:
            for shard, inside in self._contents(shards, known):
                yield from self._found(shard, inside)
            known.keep_only(self._by_name.keys())

    def open(self, relpath: str, locator: str) -> BinaryIO:
        if locator.startswith(FAULT):
            raise BadSample(locator.removeprefix(FAULT))
        at = _Locator.parse(locator)
        return self._file(self._shard(relpath, at), at.offset, at.size)

    def caption(self, found: Found) -> tuple[str | None, str | None]:
        assert self._caption is not None, "a caption is listed only where it is read"
        at = _Locator.parse(found.locator)
        name = os.path.splitext(found.relpath)[0] + self._caption.suffix
        with self._file(self._shard(found.relpath, at), at.caption, at.caption_size) as file:
            return self._caption.parse(file.read(), name)

    def close(self) -> None:
        self._shards.close()

    def _contents(
        self, shards: list[Shard], known: KnownShards
    ) -> Iterator[tuple[Shard, Contents | OSError]]:
        """What each shard holds, in order; a few unknown ones are read ahead."""
        pool = ThreadPoolExecutor(THREADS, "shard")
        ahead: deque[tuple[Shard, Contents | Future[Contents]]] = deque()
        waiting = iter(shards)
        try:
            while True:
                while len(ahead) < 2 * THREADS and (shard := next(waiting, None)):
                    ahead.append((shard, known.get(shard) or pool.submit(self._read, shard)))
                if not ahead:
                    return
                shard, inside = ahead.popleft()
                if isinstance(inside, Future):
                    try:
                        inside = inside.result()
                    except OSError as error:
                        yield shard, error
                        continue
                    known.put(shard, inside)
                yield shard, inside
        finally:
            pool.shutdown(cancel_futures=True)

    def _read(self, shard: Shard) -> Contents:
        inside = contents(self._file(shard, 0, shard.size))
        if inside.compressed:
            raise compressed(shard.name, self.name)
        return inside

    def _file(self, shard: Shard, offset: int, size: int) -> BinaryIO:
        self._shards.demand()
        if size == 0:
            return io.BytesIO()
        fetch = partial(self._shards.read, shard)
        return cast(BinaryIO, RangedFile(size, lambda a, b: fetch(offset + a, offset + b)))

    def _shard(self, relpath: str, at: _Locator) -> Shard:
        with self._lock:  # a run that trusts the last scan has not listed the shards
            if self._by_name is None:
                self._by_name = {shard.name: shard for shard in self._shards.listed()}
        name = relpath[: at.shard]
        shard = self._by_name.get(name)
        if shard is None or shard.token() != at.token:
            raise changed(name)
        return shard

    def _found(self, shard: Shard, inside: Contents | OSError) -> list[Found]:
        """The samples of a shard by name, and a row for what is wrong with it."""
        if isinstance(inside, OSError):
            why = inside.strerror or str(inside)
            return [Found(f"{shard.name}/(shard)", f"{FAULT}{why}", None, None)]
        ending, token = self._caption and self._caption.suffix, shard.token()
        found = []
        for own, text in samples(inside.members, self._kind, ending, self._suffix):
            at = _Locator(len(shard.name), own.offset, own.size, token)
            if text is not None:
                at = at._replace(caption=text.offset, caption_size=text.size)
            name = f"{shard.name}/{shown(own.name)}"
            caption = text and _stamp(shard, text)
            found.append(Found(name, str(at), _stamp(shard, own), caption, _digest(shard, own)))
        if inside.fault:
            name, locator = f"{shard.name}/(shard)", f"{FAULT}{inside.fault}"
            found.append(Found(name, locator, shard.stamp, None))
        return sorted(found, key=lambda f: f.relpath)


class _Locator(NamedTuple):
    """Where a sample is: `shard` is the length of the shard's name in the sample's."""

    shard: int
    offset: int
    size: int
    token: str
    caption: int = 0
    caption_size: int = 0

    def __str__(self) -> str:
        numbers = (self.shard, self.offset, self.size, self.caption, self.caption_size)
        return " ".join([self.token, *(f"{n:x}" for n in numbers)])

    @classmethod
    def parse(cls, text: str) -> _Locator:
        token, *numbers = text.split()
        shard, offset, size, caption, caption_size = (int(n, 16) for n in numbers)
        return cls(shard, offset, size, token, caption, caption_size)


def _stamp(shard: Shard, member: Member) -> Stamp:
    """Changes with the shard and with the place in it."""
    mixed = shard.stamp[2] ^ (shard.stamp[0] + member.offset) * 0x9E3779B97F4A7C15
    return (member.size, shard.stamp[1], mixed & (1 << 63) - 1)


def _digest(shard: Shard, member: Member) -> bytes | None:
    if shard.digest is None:
        return None
    hasher = blake2b(shard.digest, digest_size=KEY_BYTES)
    hasher.update(f"{member.offset} {member.size}".encode())
    return hasher.digest()
