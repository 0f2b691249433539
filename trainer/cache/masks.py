"""Masks of samples at the size of their latents: 0 counts nothing in the loss, 255 all."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fractions import Fraction

from trainer.cache.build import Encoded, Keys, Progress, fill
from trainer.cache.keys import mask_key
from trainer.cache.latents import origins_of
from trainer.cache.room import Room
from trainer.cache.store import Store
from trainer.data.bad import BadSample, unreadable_now
from trainer.data.item import Item
from trainer.data.masks import latent_mask
from trainer.data.media import MediaReader
from trainer.models.base import Family


def build_masks(
    missing: Mapping[bytes, Item],
    family: Family,
    store: Store,
    *,
    batch_size: int,
    on_progress: Progress,
    should_stop: Callable[[], bool],
    room: Room | None = None,
) -> bool:
    """Store the masks of items by key, at the size of their latents; False when asked to stop."""
    keys = sorted(missing)
    groups = [keys[i : i + batch_size] for i in range(0, len(keys), batch_size)]

    factor, reader = family.spatial_factor, MediaReader(family.device)

    def encode(keys: Keys) -> Encoded:
        entries, failed = {}, {}
        for key in keys:
            try:
                entries[key] = {"mask": latent_mask(missing[key], factor, reader)}
            except BadSample as error:
                if not error.lasting:
                    raise unreadable_now(error) from error
                failed[key] = str(error)
        return entries, failed

    return fill(
        store,
        groups,
        encode,
        on_progress=on_progress,
        should_stop=should_stop,
        room=room,
        origins=origins_of(missing, store),
    )


def mask_encoder(factor: int | Fraction) -> str:
    """Name of the store for masks that are made smaller by `factor`; a folder is called so."""
    return f"area{factor}".replace("/", "-")


def item_mask_key(item: Item, encoder: str) -> bytes:
    return mask_key(item.content, item.placement, encoder, item.extra)
