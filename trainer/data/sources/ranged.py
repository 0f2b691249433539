"""A seekable file over range requests: a header costs one small request, a whole object few.

Each request costs a round trip, so blocks grow while reading goes forward and shrink again after
a far jump. What is left of an object is taken at once when it is hardly more than the block.
"""

from __future__ import annotations

import errno
import io
import os
from collections.abc import Callable

FIRST = 64 << 10  # enough for nearly every header
LARGEST = 8 << 20
KEPT = 16 << 20  # bytes of blocks held, so that jumping to and fro costs no request


class RangedFile(io.RawIOBase):
    """The bytes `fetch(start, stop)` of an object of `size` bytes; for one thread.

    `fetch` raises OSError when it cannot; a short answer is an OSError as well, never the end of
    the file.
    """

    def __init__(self, size: int, fetch: Callable[[int, int], bytes]) -> None:
        super().__init__()
        self._size = size
        self._fetch = fetch
        self._position = 0
        self._block = FIRST
        self._end = 0  # of the last block
        self._blocks: list[tuple[int, bytes]] = []  # start, bytes; the newest last

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._size}[whence]
        if base + offset < 0:
            raise ValueError(f"seek to {base + offset}, before the start")
        self._position = base + offset
        return self._position

    def read(self, size: int | None = -1) -> bytes:
        """Exactly `size` bytes, fewer only at the end."""
        left = max(0, self._size - self._position)
        wanted = left if size is None or size < 0 else min(size, left)
        parts = []
        while wanted:
            start, block = self._block_at(self._position, wanted)
            part = block[self._position - start : self._position - start + wanted]
            self._position += len(part)
            wanted -= len(part)
            parts.append(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def readall(self) -> bytes:
        return self.read()

    def readinto(self, buffer) -> int:
        view = memoryview(buffer).cast("B")
        data = self.read(len(view))
        view[: len(data)] = data
        return len(data)

    def _block_at(self, position: int, wanted: int) -> tuple[int, bytes]:
        """A block that holds the byte at `position`."""
        for start, block in self._blocks:
            if start <= position < start + len(block):
                return start, block
        near = self._end <= position <= self._end + self._block
        if self._blocks:
            self._block = min(self._block * 4, LARGEST) if near else max(self._block // 4, FIRST)
        length = max(self._block, wanted)
        if self._size - position <= 2 * length:
            length = self._size - position
        block = self._fetch(position, position + length)
        if len(block) != length:
            raise OSError(errno.EIO, f"{len(block)} of {length} bytes came")
        self._end = position + length
        self._blocks.append((position, block))
        while len(self._blocks) > 1 and sum(len(b) for _, b in self._blocks) > KEPT:
            del self._blocks[0]
        return position, block
