"""Log text by byte range, cut at line ends so that no character is torn."""

from __future__ import annotations

from pathlib import Path

from stdaemon.wire.logs import LogChunk

MAX_CHUNK = 1 << 20


def read_log(path: Path, *, offset: int, limit: int, ended: bool) -> LogChunk:
    """At most `limit` bytes from `offset`; an unfinished last line waits until it is whole."""
    limit = min(max(1, limit), MAX_CHUNK)
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            file.seek(offset)
            block = file.read(limit)
    except FileNotFoundError:
        return LogChunk(offset=offset, next_offset=offset, size=0, text="", done=ended)
    last = block.rfind(b"\n") + 1
    if last == 0 and len(block) < limit and not ended:
        block = b""
    elif (last and offset + len(block) < size) or (last and not ended):
        block = block[:last]
    end = offset + len(block)
    text = block.decode("utf-8", errors="replace")
    return LogChunk(
        offset=offset, next_offset=end, size=size, text=text, done=ended and end >= size
    )


def tail_offset(path: Path, lines: int) -> int:
    """Offset at which the last `lines` lines begin."""
    try:
        size = path.stat().st_size
    except FileNotFoundError:
        return 0
    if lines <= 0:
        return size
    with path.open("rb") as file:
        at, found = size, 0
        while at > 0:
            start = max(0, at - 65536)
            file.seek(start)
            block = file.read(at - start)
            position = len(block) - (1 if at == size and block.endswith(b"\n") else 0)
            while (position := block.rfind(b"\n", 0, position)) >= 0:
                found += 1
                if found == lines:
                    return start + position + 1
            at = start
    return 0
