"""Filling a store: what latents and text have in common.

Only what is missing is encoded, in groups cut from the missing keys in a fixed order. Groups are
stored in that order and each as a whole, so a build that was killed anywhere has stored the
first so many groups, and the next build cuts the rest into the very same ones: its bytes equal
those of a build that was never interrupted. Two processes that build at once share the groups;
each key is encoded by one of them. A thread writes what is finished while the next is encoded.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

from trainer.cache.origin import Origin, record
from trainer.cache.room import Room, no_room
from trainer.cache.store import Store
from trainer.cache.tensors import Entry, num_bytes

__all__ = ["Encoded", "Keys", "Progress", "fill", "no_room"]

FLUSH_BYTES = 64 << 20
FLUSH_S = 20.0  # work that a kill may cost
WAIT_S = 0.2

Keys = Sequence[bytes]
Encoded = tuple[Mapping[bytes, Entry], Mapping[bytes, str]]  # entries, reasons of failures
Progress = Callable[[int, int], None]
Origins = Callable[[Iterable[bytes]], Iterable[Origin]]


class Writer:
    """Finished groups on their way to the disk; some are collected, then written together.

    What could not be written is tried again with the next ones, so an error loses nothing.
    """

    def __init__(self, store: Store, room: Room, origins: Origins | None) -> None:
        self._store, self._room, self._origins = store, room, origins
        self._pool = ThreadPoolExecutor(1, "cache-write")
        self._flying: tuple[Encoded, Future[None]] | None = None
        self._entries: dict[bytes, Entry] = {}
        self._failed: dict[bytes, str] = {}
        self._bytes = 0
        self._since = time.monotonic()

    def add(self, encoded: Encoded) -> None:
        entries, failed = encoded
        self._entries |= entries
        self._failed |= failed
        self._bytes += sum(map(num_bytes, entries.values()))
        if self._bytes >= FLUSH_BYTES or time.monotonic() - self._since >= FLUSH_S:
            self._take_off()

    def settle(self) -> None:
        """Return when everything is on the disk."""
        self._take_off()
        self._land()

    def close(self) -> None:
        self._pool.shutdown()

    def _take_off(self) -> None:
        self._land()
        if self._entries or self._failed:
            load = (self._entries, self._failed)
            self._flying = load, self._pool.submit(self._write, *load)
        self._entries, self._failed, self._bytes = {}, {}, 0
        self._since = time.monotonic()

    def _land(self) -> None:
        if self._flying is None:
            return
        (entries, failed), future = self._flying
        self._flying = None
        try:
            future.result()
        except BaseException:
            self._entries = {**entries, **self._entries}
            self._failed = {**failed, **self._failed}
            raise

    def _write(self, entries: dict[bytes, Entry], failed: dict[bytes, str]) -> None:
        self._room.demand(sum(map(num_bytes, entries.values())))
        if self._origins is not None:
            record(self._store.root, self._origins([*entries, *failed]))
        self._store.put(entries, failed)


def fill(
    store: Store,
    groups: Sequence[Keys],
    encode: Callable[[Keys], Encoded],
    *,
    on_progress: Progress,
    should_stop: Callable[[], bool],
    room: Room | None = None,
    origins: Origins | None = None,
) -> bool:
    """Encode and store all groups; False when asked to stop before the end.

    `origins` tells where the samples of some keys come from, for `stune cache why`.
    """
    total = sum(map(len, groups))
    done = 0
    room = room or Room(store.root)
    writer = Writer(store, room, origins)
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
                        _demand_room(room, encoded, total)
                        checked = True
                    writer.add(encoded)
                if others:
                    later.append(others)
                done += len(group) - len(others)
                on_progress(done, total)
            writer.settle()  # others may wait for these as we do for theirs
            waiting = later
            if waiting:
                time.sleep(WAIT_S)
    finally:
        try:
            writer.settle()
        finally:
            writer.close()
    return True


def _encode(store: Store, encode: Callable[[Keys], Encoded], keys: Keys) -> Encoded:
    try:
        return encode(keys)
    except BaseException:
        store.release(keys)
        raise


def _demand_room(room: Room, encoded: Encoded, total: int) -> None:
    """Refuse before hours of encoding what does not fit, judged by the first group."""
    entries = encoded[0]
    if entries:
        room.demand(int(sum(map(num_bytes, entries.values())) / len(entries) * total))
