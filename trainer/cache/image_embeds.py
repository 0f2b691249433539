"""Embeddings of pictures, for denoisers that are told what an image encoder sees.

An embedding has the key of the picture's latent with another encoder: the same bytes, cut the
same way. Frames of a film: the first one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor

import torch
from torch import Tensor

from trainer.cache.build import Encoded, Keys, Progress, fill
from trainer.cache.latents import READERS, Pixels, cut, origins_of
from trainer.cache.room import Room
from trainer.cache.store import Store
from trainer.data.item import Item
from trainer.data.media import MediaReader, to_picture
from trainer.models.base import Family

NAME = "image_embeds"
NOT_FINITE = "its embedding is not finite (NaN or infinity)"


def build_image_embeds(
    missing: Mapping[bytes, Item],
    family: Family,
    store: Store,
    *,
    batch_size: int,
    on_progress: Progress,
    should_stop: Callable[[], bool],
    room: Room | None = None,
) -> bool:
    """Store the embeddings of items by key; False when asked to stop before the end.

    The image encoder is loaded with the first picture, and dropped at the end.
    """
    groups = cut(missing, batch_size)
    if not groups:
        return True
    with ThreadPoolExecutor(READERS, "decode") as pool:
        pixels = Pixels(missing, groups, pool, MediaReader(family.device).read)

        def encode(keys: Keys) -> Encoded:
            family.load("image")
            return _encode(dict(zip(keys, pixels.of(keys), strict=True)), family)

        store.describe(family.describe("image"))
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
            family.unload("image")


def _encode(decoded: Mapping[bytes, Tensor | str], family: Family) -> Encoded:
    failed = {key: why for key, why in decoded.items() if isinstance(why, str)}
    good = {key: x for key, x in decoded.items() if isinstance(x, Tensor)}
    if not good:
        return {}, failed
    pictures = [to_picture(x if x.ndim == 3 else x[:, 0]) for x in good.values()]
    embeds = family.encode_images(pictures)
    finite = {key: row for key, row in zip(good, embeds, strict=True) if torch.isfinite(row).all()}
    failed |= dict.fromkeys(good.keys() - finite.keys(), NOT_FINITE)
    return {key: {NAME: row.clone()} for key, row in finite.items()}, failed
