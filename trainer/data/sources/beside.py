"""Which caption lies beside which sample, in one pass over names in order.

In the order of text, everything that begins with "cat." stands together: "cat.png" and "cat.txt"
are never far apart, so few names are held at a time, however long the listing is.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

Entry = TypeVar("Entry")


@dataclass(slots=True)
class _Waiting(Generic[Entry]):
    name: str
    entry: Entry
    wants: str  # name of its caption
    caption: Entry | None


def with_captions(
    entries: Iterable[tuple[str, Entry]], is_sample: Callable[[str], bool], suffix: str | None
) -> Iterator[tuple[str, Entry, Entry | None]]:
    """(name, entry, entry of its caption or None) of each sample; names come and go in order.

    `suffix` is the ending of caption files, None when none are read.
    """
    waiting: deque[_Waiting[Entry]] = deque()
    wanted: dict[str, list[_Waiting[Entry]]] = {}
    captions: list[tuple[str, Entry]] = []  # seen, and later samples may want them
    for name, entry in entries:
        while waiting and (waiting[0].caption is not None or waiting[0].wants < name):
            yield _done(waiting, wanted)
        while captions and not name.startswith(captions[-1][0].removesuffix(suffix or "") + "."):
            captions.pop()
        if suffix and name.endswith(suffix):
            for sample in wanted.get(name, ()):
                sample.caption = entry
            captions.append((name, entry))
        if is_sample(name):
            wants = os.path.splitext(name)[0] + (suffix or "")
            seen = next((e for n, e in reversed(captions) if n == wants), None)
            sample = _Waiting(name, entry, wants if suffix else "", seen)
            waiting.append(sample)
            wanted.setdefault(sample.wants, []).append(sample)
    while waiting:
        yield _done(waiting, wanted)


def _done(
    waiting: deque[_Waiting[Entry]], wanted: dict[str, list[_Waiting[Entry]]]
) -> tuple[str, Entry, Entry | None]:
    sample = waiting.popleft()
    wanted.pop(sample.wants, None)
    return sample.name, sample.entry, sample.caption
