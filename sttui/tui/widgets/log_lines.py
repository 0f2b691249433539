"""The lines of a log: a bounded ring that loses nothing silently. Pure; the widget draws it.

Text comes in chunks of any size. Control sequences other than colours are taken out, since a log
must not steer the terminal; a progress line that rewrites itself keeps its last state.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator

MAX_LINES = 50_000
MAX_CHARS = 16 << 20
MAX_LINE = 4096
_CONTROL = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-ln-~]"  # control sequences but colours (m)
    r"|\x1b[\]PX^_].*?(?:\x07|\x1b\\|$)"  # titles, clipboards, pictures
    r"|\x1b(?:[ -/]+[0-~]|[0-Z\\`-~])"  # two- and three-byte escapes
    r"|[\x00-\x08\x0b\x0c\x0e-\x1a\x1c-\x1f\x7f\x80-\x9f]"
)
_COLOUR = re.compile(r"\x1b\[[0-9;:]*m")


def clean(line: str) -> str:
    """Without control sequences except colours, no longer than a screen can show."""
    if "\r" in line:
        parts = [part for part in line.split("\r") if part]
        line = parts[-1] if parts else ""
    line = _CONTROL.sub("", line).expandtabs(8) if not line.isprintable() else line
    # An escape that is left and no colour is a fragment.
    line = re.sub(r"\x1b(?!\[[0-9;:]*m)", "", line) if "\x1b" in line else line
    return line if len(line) <= MAX_LINE else line[:MAX_LINE] + " … (cut)"


def bare(line: str) -> str:
    """Without colours as well."""
    return _COLOUR.sub("", line) if "\x1b" in line else line


class LogLines:
    """`total` counts every line that ever came, `dropped` those that have left the ring."""

    def __init__(self, max_lines: int = MAX_LINES, max_chars: int = MAX_CHARS) -> None:
        self.lines: deque[str] = deque()
        self.total = 0
        self.dropped = 0
        self.rest = ""
        self._max_lines, self._max_chars = max_lines, max_chars
        self._chars = 0
        self.widest = 1  # of all lines that ever came, in characters

    def __len__(self) -> int:
        return len(self.lines) + bool(self.rest)

    def __getitem__(self, index: int) -> str:
        return clean(self.rest) if index == len(self.lines) else self.lines[index]

    def __iter__(self) -> Iterator[str]:
        yield from self.lines
        if self.rest:
            yield clean(self.rest)

    def write(self, text: str) -> int:
        """Take a chunk; returns how many whole lines it completed."""
        *whole, rest = (self.rest + text).split("\n")
        # Of an unfinished line only the last state of a progress bar is worth keeping.
        self.rest = rest[rest.rstrip("\r").rfind("\r") + 1 :] if "\r" in rest else rest
        for line in whole:
            self._append(clean(line))
        self.total += len(whole)
        return len(whole)

    def _append(self, line: str) -> None:
        self.lines.append(line)
        self.widest = max(self.widest, len(line))
        self._chars += len(line)
        while len(self.lines) > self._max_lines or self._chars > self._max_chars:
            self._chars -= len(self.lines.popleft())
            self.dropped += 1

    def prepend(self, text: str) -> int:
        """Older whole lines, as many as the ring has room for; returns how many were taken."""
        older = [clean(line) for line in text.split("\n")]
        room = self._max_lines - len(self.lines)
        taken = older[max(0, len(older) - room) :] if room > 0 else []
        self.lines.extendleft(reversed(taken))
        self._chars += sum(map(len, taken))
        self.widest = max([self.widest, *map(len, taken)])
        self.total += len(taken)
        return len(taken)

    def find(self, needle: str) -> list[int]:
        """Indexes of the lines that contain the text, whatever its case."""
        low = needle.lower()
        return [i for i, line in enumerate(self) if low in bare(line).lower()] if low else []
