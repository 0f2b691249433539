"""Filling a store: what latents and text have in common.

Only what is missing is encoded, in groups cut from the missing keys in a fixed order. Groups are
stored in that order and each as a whole, so a build that was killed anywhere has stored the
first so many groups, and the next build cuts the rest into the very same ones: its bytes equal
those of a build that was never interrupted. Two processes that build at once share the groups;
each key is encoded by one of them.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from trainer.cache.shard import Entry
from trainer.cache.store import Store
from trainer.errors import TrainerError
from trainer.findings import finding

FLUSH_BYTES = 64 << 20
FLUSH_S = 20.0  # work that a kill may cost
WAIT_S = 0.2

Keys = Sequence[bytes]
Encoded = tuple[Mapping[bytes, Entry], Mapping[bytes, str]]  # entries, reasons of failures
Progress = Callable[[int, int], None]


class Pending:
    """Finished groups that are not on disk yet; they are written together."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._entries: dict[bytes, Entry] = {}
        self._failed: dict[bytes, str] = {}
        self._bytes = 0
        self._since = time.monotonic()

    def add(self, encoded: Encoded) -> None:
        entries, failed = encoded
        self._entries |= entries
        self._failed |= failed
        self._bytes += sum(t.nbytes for entry in entries.values() for t in entry.values())
        if self._bytes >= FLUSH_BYTES or time.monotonic() - self._since >= FLUSH_S:
            self.flush()

    def flush(self) -> None:
        if self._entries or self._failed:
            self._store.put(self._entries, self._failed)
        self._entries, self._failed, self._bytes = {}, {}, 0
        self._since = time.monotonic()


def fill(
    store: Store,
    groups: Sequence[Keys],
    encode: Callable[[Keys], Encoded],
    *,
    on_progress: Progress,
    should_stop: Callable[[], bool],
) -> bool:
    """Encode and store all groups; False when asked to stop before the end."""
    total = sum(map(len, groups))
    done = 0
    pending = Pending(store)
    waiting, checked = list(groups), False
    try:
        while waiting:
            later: list[Keys] = []
            for group in waiting:
                if should_stop():
                    return False
                mine, others = store.lease(group)
                if mine:
                    encoded = _encode(store, encode, mine)
                    if not checked:
                        _demand_room(store, encoded, total)
                        checked = True
                    pending.add(encoded)
                if others:
                    later.append(others)
                done += len(group) - len(others)
                on_progress(done, total)
            pending.flush()  # others may wait for these as we do for theirs
            waiting = later
            if waiting:
                time.sleep(WAIT_S)
    finally:
        pending.flush()
    return True


def _encode(store: Store, encode: Callable[[Keys], Encoded], keys: Keys) -> Encoded:
    try:
        return encode(keys)
    except BaseException:
        store.release(keys)
        raise


def _demand_room(store: Store, encoded: Encoded, total: int) -> None:
    """Refuse before hours of encoding what the disk cannot hold, judged by the first group."""
    entries = encoded[0]
    if not entries:
        return
    each = sum(t.nbytes for entry in entries.values() for t in entry.values()) / len(entries)
    free = shutil.disk_usage(store.folder).free
    if each * total > free:
        raise no_room(store.folder, f"{each * total / 2**30:.1f} GiB are needed")


def no_room(folder: Path, why: str) -> TrainerError:
    """The error for a disk that cannot hold the cache."""
    there = next(place for place in (folder, *folder.parents) if place.exists())
    free = shutil.disk_usage(there).free / 2**30
    return TrainerError(
        finding(
            "DAT102",
            f"no room for the cache: {why}, {free:.1f} GiB are free",
            where=str(folder),
            why="encoded samples are kept there; those already encoded stay valid",
            fix="free space, or set cache.root to another disk, and start again",
        )
    )
