"""Latents of pictures.

A picture that cannot be decoded, or whose latent is not finite, is noted under its own key and
skipped: its neighbours keep their names, and it is not tried again until the file changes.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import torch
from torch import Tensor

from trainer.cache.build import Encoded, Keys, Progress, fill
from trainer.cache.keys import latent_key
from trainer.cache.store import Store
from trainer.data.bad import BadSample, unreadable_now
from trainer.data.geometry import Bucket
from trainer.data.item import Item, read_checked
from trainer.data.made import made_identity
from trainer.data.pixels import crop, read_picture
from trainer.models.base import Family
from trainer.rng import stream_seed

READERS = 2
NOT_FINITE = "its latent is not finite (NaN or infinity)"


def item_key(item: Item, encoder: str) -> bytes:
    made = made_identity(item.made)
    return latent_key(item.content, item.placement, item.background, encoder, made)


def build_latents(
    missing: Mapping[bytes, Item],
    family: Family,
    store: Store,
    *,
    batch_size: int,
    on_progress: Progress,
    should_stop: Callable[[], bool],
) -> bool:
    """Store the latents of items by key; False when asked to stop before the end.

    The VAE is loaded with the first picture, and dropped at the end.
    """
    groups = cut(missing, batch_size)
    if not groups:
        return True
    with ThreadPoolExecutor(READERS, "decode") as pool:
        pixels = Pixels(missing, groups, pool)

        def encode(keys: Keys) -> Encoded:
            family.load("vae")
            return _encode(keys, pixels, family)

        try:
            return fill(store, groups, encode, on_progress=on_progress, should_stop=should_stop)
        finally:
            family.unload("vae")


def cut(items: Mapping[bytes, Item], batch_size: int) -> list[Keys]:
    """Groups of one target size, in an order that depends on the keys alone."""
    buckets: dict[Bucket, list[bytes]] = {}
    for key in sorted(items):
        buckets.setdefault(items[key].placement.target, []).append(key)
    return [
        keys[i : i + batch_size]
        for _, keys in sorted(buckets.items())
        for i in range(0, len(keys), batch_size)
    ]


class Pixels:
    """Decodes the next group while the current one is encoded."""

    def __init__(
        self, items: Mapping[bytes, Item], groups: Sequence[Keys], pool: ThreadPoolExecutor
    ) -> None:
        self._items = items
        self._pool = pool
        firsts = [group[0] for group in groups]
        self._next = dict(zip(firsts, groups[1:], strict=False))
        self._ahead: dict[bytes, Future[Tensor]] = {}

    def of(self, keys: Keys) -> list[Tensor | str]:
        """Pixels [3, H, W] of each key, or why there are none."""
        current = {key: self._ahead.pop(key, None) or self._submit(key) for key in keys}
        for skipped in self._ahead.values():  # a group that another process took
            skipped.cancel()
        self._ahead = {key: self._submit(key) for key in self._next.get(keys[0], ())}
        return [_result(future) for future in current.values()]

    def _submit(self, key: bytes) -> Future[Tensor]:
        return self._pool.submit(_pixels, self._items[key])


def _pixels(item: Item) -> Tensor:
    picture = read_picture(io.BytesIO(read_checked(item)), item.background)
    if picture.size != (item.width, item.height):
        raise BadSample("it was replaced by one of another size", lasting=False)
    return crop(picture, item.placement)


def _result(future: Future[Tensor]) -> Tensor | str:
    try:
        return future.result()
    except BadSample as error:
        if error.lasting:
            return str(error)
        raise unreadable_now(error) from error


def _encode(keys: Keys, pixels: Pixels, family: Family) -> Encoded:
    decoded = dict(zip(keys, pixels.of(keys), strict=True))
    failed = {key: why for key, why in decoded.items() if isinstance(why, str)}
    good = {key: x for key, x in decoded.items() if isinstance(x, Tensor)}
    if not good:
        return {}, failed
    seeds = [stream_seed(0, int.from_bytes(key, "little"), 0, "posterior") for key in good]
    latents = family.encode_media(torch.stack(list(good.values())), seeds)
    entries: dict[bytes, dict[str, Tensor]] = {}
    for key, latent in zip(good, latents, strict=True):
        if torch.isfinite(latent).all():
            entries[key] = {"latent": latent}
        else:
            failed[key] = NOT_FINITE
    return entries, failed
