"""Latents of pictures: encoding what is missing.

A picture that cannot be decoded, or whose latent is not finite, is noted under its own key and
skipped: its neighbours keep their names, and it is not tried again until the file changes.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import torch
from torch import Tensor

from trainer.cache.build import Encoded, Keys, Origins, Progress, fill
from trainer.cache.kept import Kept
from trainer.cache.keys import latent_key, latent_parts
from trainer.cache.origin import Origin
from trainer.cache.room import Room
from trainer.cache.store import Store
from trainer.cache.tensors import Entry
from trainer.data.bad import BadSample, unreadable_now
from trainer.data.item import Item
from trainer.data.media import MediaReader
from trainer.models.base import Family

READERS = max(2, min(8, (os.cpu_count() or 2) - 1))
AHEAD = 2  # groups decoded before they are encoded
NOT_FINITE = "its latent is not finite (NaN or infinity)"

Read = Callable[[Item], Tensor]


def item_key(item: Item, encoder: str) -> bytes:
    return latent_key(item.content, item.placement, item.background, encoder, item.extra)


def item_parts(item: Item) -> dict[str, str]:
    """What `item_key` covers besides the encoder, in words."""
    return latent_parts(item.content, item.placement, item.background, item.extra)


def origins_of(
    items: Mapping[bytes, Item],
    store: Store,
    parts: Callable[[Item], dict[str, str]] = item_parts,
) -> Origins:
    """Tells of keys which samples they are, for `stune cache why`."""

    def origins(keys: Iterable[bytes]) -> Iterator[Origin]:
        for key in keys:
            item = items[key]
            place = (item.source.name, item.relpath, store.kind)
            yield Origin(*place, key, store.encoder, parts(item))

    return origins


def build_latents(
    missing: Mapping[bytes, Item],
    family: Family,
    store: Store,
    *,
    batch_size: int,
    on_progress: Progress,
    should_stop: Callable[[], bool],
    kept: Kept | None = None,
    room: Room | None = None,
) -> bool:
    """Store the latents of items by key; False when asked to stop before the end.

    The VAE is loaded with the first sample, and dropped at the end.
    """
    groups = cut(missing, batch_size)
    if not groups:
        return True
    form = kept or Kept()
    with ThreadPoolExecutor(READERS, "decode") as pool:
        pixels = Pixels(missing, groups, pool, MediaReader(family.device).read)

        def encode(keys: Keys) -> Encoded:
            family.load("vae")
            return _encode(keys, pixels, family, form)

        store.describe(family.describe("vae") | {"kept": form.mode, "precision": form.dtype})
        try:
            return fill(
                store,
                groups,
                encode,
                on_progress=on_progress,
                should_stop=should_stop,
                room=room,
                origins=origins_of(missing, store),
            )
        finally:
            pixels.close()
            family.unload("vae")


def cut(items: Mapping[bytes, Item], batch_size: int) -> list[Keys]:
    """Groups of one shape, in an order that depends on the keys alone."""
    buckets: dict[tuple[float, ...], list[bytes]] = {}
    for key in sorted(items):
        buckets.setdefault(items[key].shape, []).append(key)
    return [
        keys[i : i + batch_size]
        for _, keys in sorted(buckets.items())
        for i in range(0, len(keys), batch_size)
    ]


class Pixels:
    """Decodes the next groups while the current one is encoded."""

    def __init__(
        self,
        items: Mapping[bytes, Item],
        groups: Sequence[Keys],
        pool: ThreadPoolExecutor,
        read: Read,
    ) -> None:
        self._items, self._pool, self._read = items, pool, read
        self._groups = groups
        self._at = 0
        self._ahead: dict[bytes, Future[Tensor]] = {}

    def of(self, keys: Keys) -> list[Tensor | str]:
        """Pixels [3, H, W] of each key, or why there are none."""
        current = {key: self._ahead.pop(key, None) or self._submit(key) for key in keys}
        following = self._seek(keys[0]) + 1
        coming = [key for group in self._groups[following : following + AHEAD] for key in group]
        for key in self._ahead.keys() - set(coming):  # a group that another process took
            self._ahead.pop(key).cancel()
        for key in coming:
            if key not in self._ahead:
                self._ahead[key] = self._submit(key)
        return [_result(future) for future in current.values()]

    def _seek(self, key: bytes) -> int:
        """Number of the group of a key; groups are asked for in their order, mostly."""
        while key not in self._groups[self._at]:
            self._at = (self._at + 1) % len(self._groups)
        return self._at

    def close(self) -> None:
        """Forget what was decoded for nobody."""
        for future in self._ahead.values():
            future.cancel()
        self._ahead.clear()

    def _submit(self, key: bytes) -> Future[Tensor]:
        return self._pool.submit(self._read, self._items[key])


def _result(future: Future[Tensor]) -> Tensor | str:
    try:
        return future.result()
    except BadSample as error:
        if error.lasting:
            return str(error)
        raise unreadable_now(error) from error


def _encode(keys: Keys, pixels: Pixels, family: Family, kept: Kept) -> Encoded:
    decoded = dict(zip(keys, pixels.of(keys), strict=True))
    failed = {key: why for key, why in decoded.items() if isinstance(why, str)}
    good = {key: x for key, x in decoded.items() if isinstance(x, Tensor)}
    if not good:
        return {}, failed
    mean, std = family.posterior(torch.stack(list(good.values())))
    entries: dict[bytes, Entry] = {}
    for row, key in enumerate(good):
        entry = kept.entry(mean[row], None if std is None else std[row], key)
        if all(torch.isfinite(tensor).all() for tensor in entry.values()):
            entries[key] = entry
        else:
            failed[key] = NOT_FINITE
    return entries, failed
