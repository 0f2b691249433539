"""Texts of samples whose text encoder also sees the pictures that they are made from.

Such a text belongs to one sample: its key covers the caption and the pictures as they are cut.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from PIL.Image import Image

from trainer.cache.build import Encoded, Keys, Progress, fill
from trainer.cache.keys import digest
from trainer.cache.latents import item_key, item_parts, origins_of
from trainer.cache.room import Room
from trainer.cache.store import Store
from trainer.data.bad import BadSample, unreadable_now
from trainer.data.item import Item
from trainer.data.media import MediaReader, to_picture
from trainer.models.base import Family

T = TypeVar("T")


def seen_key(caption: str, item: Item, encoder: str) -> bytes:
    pictures = [item_key(partner, "") for partner in item.references]
    return digest("seen/1", caption, pictures, encoder)


def seen_pieces(item: Item, encoder: str) -> Iterator[tuple[bytes, Item]]:
    """The key of every caption that a sample is shown with, and the sample with that one alone."""
    captions = (*item.captions, "") if item.drops_caption else item.captions
    for caption in sorted(set(captions)):
        yield seen_key(caption, item, encoder), replace(item, captions=(caption,))


def seen_parts(item: Item) -> dict[str, str]:
    """What the key of a sample with one caption covers besides the encoder, in words."""
    parts = {"caption": item.captions[0]}
    for number, partner in enumerate(item.references, 1):
        parts |= {f"picture {number} {k}": v for k, v in item_parts(partner).items()}
    return parts


@dataclass(frozen=True, slots=True)
class Request:
    """A text of validation, with the picture that is to be edited."""

    prompt: str
    picture: Image

    def key(self, encoder: str) -> bytes:
        picture = digest(self.picture.size, self.picture.tobytes())
        return digest("seen-input/1", self.prompt, picture, encoder)


def build_seen(
    missing: Mapping[bytes, Item],
    family: Family,
    store: Store,
    *,
    batch_size: int,
    on_progress: Progress,
    should_stop: Callable[[], bool],
    room: Room | None = None,
) -> bool:
    """Store the texts of items of one caption each; False when asked to stop before the end."""
    reader = MediaReader(family.device)

    def encode(keys: Keys) -> Encoded:
        pictures, failed = {}, {}
        for key in keys:
            try:
                pictures[key] = [_picture(reader, part) for part in missing[key].references]
            except BadSample as error:
                if not error.lasting:
                    raise unreadable_now(error) from error
                failed[key] = str(error)
        captions = [missing[key].captions[0] for key in pictures]
        return _encode(family, list(pictures), captions, list(pictures.values())), failed

    store.describe(family.describe("text"))
    try:
        return fill(
            store,
            _groups(sorted(missing), batch_size),
            encode,
            on_progress=on_progress,
            should_stop=should_stop,
            room=room,
            origins=origins_of(missing, store, seen_parts),
        )
    finally:
        family.unload("text")


def build_requests(requests: Sequence[Request], family: Family, store: Store) -> None:
    """Store the texts of validation."""
    known = {request.key(store.encoder): request for request in requests}
    groups = _groups(store.missing(sorted(known)), 1)  # one by one: sizes differ

    def encode(keys: Keys) -> Encoded:
        asked = [known[key] for key in keys]
        return _encode(family, keys, [a.prompt for a in asked], [[a.picture] for a in asked]), {}

    try:
        fill(store, groups, encode, on_progress=lambda *_: None, should_stop=lambda: False)
    finally:
        family.unload("text")


def _encode(
    family: Family, keys: Keys, captions: Sequence[str], pictures: Sequence[Sequence[Image]]
) -> dict[bytes, dict]:
    if not keys:
        return {}
    family.load("text")
    return dict(zip(keys, family.encode_seen(captions, pictures), strict=True))


def _picture(reader: MediaReader, item: Item) -> Image:
    pixels = reader.read(item)
    return to_picture(pixels if pixels.ndim == 3 else pixels[:, 0])


def _groups(items: Sequence[T], size: int) -> list[Sequence[T]]:
    return [items[start : start + size] for start in range(0, len(items), size)]
