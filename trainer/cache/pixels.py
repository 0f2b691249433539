"""Pictures that a denoiser looks at as they are: no autoencoder, one byte for each colour.

They are kept as they were cut, so a step reads neither the file nor its neighbours, and what a
generator makes is made once.
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
from trainer.cache.tensors import Entry
from trainer.data.item import Item
from trainer.data.media import MediaReader
from trainer.models.base import Family

KIND = "pixels"
ENCODER = "rgb8"  # name of the store; part of every key in it
NAME = "pixels"  # of the tensor in an entry, [3, H, W] of uint8


def build_pixels(
    missing: Mapping[bytes, Item],
    family: Family,
    store: Store,
    *,
    batch_size: int,
    on_progress: Progress,
    should_stop: Callable[[], bool],
    room: Room | None = None,
) -> bool:
    """Store the pixels of items by key; False when asked to stop before the end."""
    groups = cut(missing, batch_size)
    if not groups:
        return True
    with ThreadPoolExecutor(READERS, "decode") as pool:
        pixels = Pixels(missing, groups, pool, MediaReader(family.device).read)

        def encode(keys: Keys) -> Encoded:
            entries: dict[bytes, Entry] = {}
            failed: dict[bytes, str] = {}
            for key, found in zip(keys, pixels.of(keys), strict=True):
                if isinstance(found, str):
                    failed[key] = found
                else:
                    entries[key] = {NAME: as_bytes(found)}
            return entries, failed

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


def as_bytes(pixels: Tensor) -> Tensor:
    """Pixels in -1..1 to the levels 0..255 that they were read from."""
    return pixels.add(1.0).mul(127.5).round().clamp(0, 255).to(torch.uint8)
