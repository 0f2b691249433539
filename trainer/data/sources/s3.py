"""Samples that are objects of an S3-compatible store, each with its caption beside it.

A scan lists the prefix, reads the first block of each new object for its header and the caption
of each new sample; whole objects are read only when they are encoded. Their digest comes from the
ETag, so nothing is downloaded to learn what changed.
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from functools import partial
from typing import BinaryIO, cast

from trainer.data.captions import CaptionFile
from trainer.data.sources.base import Found, Kind
from trainer.data.sources.beside import with_captions
from trainer.data.sources.names import is_hidden, is_sample
from trainer.data.sources.objects import Bucket
from trainer.data.sources.ranged import RangedFile


class Objects:
    """Every sample of one kind whose key begins with `prefix`.

    Names are keys without the folder part of the prefix, "sets/" of "sets/cats".
    """

    hashed = False  # contents are named by their ETag

    def __init__(
        self,
        bucket: Bucket,
        prefix: str,
        kind: Kind,
        caption: CaptionFile | None,
        suffix: str | None = None,
    ) -> None:
        self._bucket = bucket
        self._prefix = prefix
        self._folder = prefix[: prefix.rfind("/") + 1]
        self._kind: Kind = kind
        self._caption = caption
        self._suffix = suffix

    @property
    def name(self) -> str:
        return self._bucket.place.url(self._prefix)

    @property
    def identity(self) -> str:
        place, tag = self._bucket.place, self._caption and self._caption.tag
        return f"{place.endpoint}|{self.name}|{self._kind}|{tag}|{self._suffix}"

    def listing(self) -> Iterator[Found]:
        cut = len(self._folder)
        entries = (
            (o.key[cut:], o)
            for o in self._bucket.objects(self._prefix)
            if not is_hidden(o.key[cut:])
        )
        ours = partial(is_sample, kind=self._kind, suffix=self._suffix)
        ending = self._caption and self._caption.suffix
        for name, own, caption in with_captions(entries, ours, ending):
            locator = f"{own.size} {own.etag}"
            yield Found(name, locator, own.stamp, caption and caption.stamp, own.digest)

    def open(self, relpath: str, locator: str) -> BinaryIO:
        self._bucket.demand()
        size, _, etag = locator.partition(" ")
        if size == "0":  # no range of it can be asked for
            return io.BytesIO()
        fetch = partial(self._bucket.read, self._folder + relpath, etag)
        return cast(BinaryIO, RangedFile(int(size), fetch))

    def caption(self, found: Found) -> tuple[str | None, str | None]:
        assert self._caption is not None, "a caption is listed only where it is read"
        self._bucket.demand()
        name = os.path.splitext(found.relpath)[0] + self._caption.suffix
        return self._caption.parse(self._bucket.whole(self._folder + name), name)

    def close(self) -> None:
        self._bucket.close()
