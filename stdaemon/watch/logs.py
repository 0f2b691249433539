"""Log text by byte range, cut at line ends so that no character is torn."""

from __future__ import annotations

import re
from pathlib import Path

from stdaemon.wire.logs import LogChunk

MAX_CHUNK = 1 << 20
ESCAPES = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]")


def read_log(path: Path, *, offset: int, limit: int, ended: bool) -> LogChunk:
    """At most `limit` bytes from `offset`; an unfinished last line waits until it is whole."""
    limit = min(max(4, limit), MAX_CHUNK)  # the longest character has four bytes
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            file.seek(offset)
            block = file.read(limit)
    except FileNotFoundError:
        return LogChunk(offset=offset, next_offset=offset, size=0, text="", done=ended)
    last = block.rfind(b"\n") + 1
    if not (ended and offset + len(block) >= size):
        if last:
            block = block[:last]
        else:
            block = _whole_characters(block) if len(block) == limit else b""
    end = offset + len(block)
    text = block.decode("utf-8", errors="replace")
    done = ended and end >= size
    return LogChunk(offset=offset, next_offset=end, size=size, text=text, done=done)


def _whole_characters(block: bytes) -> bytes:
    """Without the beginning of a character at the end."""
    for back in range(1, 5):
        byte = block[-back]
        if byte & 0xC0 != 0x80:  # the first byte of the last character
            needs = 4 if byte >= 0xF0 else 3 if byte >= 0xE0 else 2 if byte >= 0xC0 else 1
            return block if back >= needs else block[:-back] or block
    return block  # no text at all


def last_words(path: Path, *, limit: int = 4096) -> str:
    """The last line with text in it, without the escape codes of terminals."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - limit))
            text = file.read().decode("utf-8", errors="replace")
    except OSError:
        return ""
    lines = [line.strip() for line in ESCAPES.sub("", text).splitlines() if line.strip()]
    return lines[-1][:400] if lines else ""


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
