"""Embeddings of captions."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable

from trainer.cache.build import Encoded, Keys, Progress, fill
from trainer.cache.keys import text_key, text_parts
from trainer.cache.origin import Origin, record
from trainer.cache.room import Room
from trainer.cache.store import Store
from trainer.models.base import Family

Place = tuple[str, str, str]  # caption, name of its source, path of the sample
Places = Callable[[Collection[str]], Iterable[Place]]


def build_text(
    captions: Iterable[str],
    family: Family,
    store: Store,
    *,
    batch_size: int,
    on_progress: Progress,
    should_stop: Callable[[], bool],
    room: Room | None = None,
    places: Places | None = None,
    negatives: Iterable[str] = (),
) -> bool:
    """Store the embeddings of all captions; False when asked to stop before the end.

    The encoders are loaded with the first caption that is missing, and dropped at the end.
    `places` is asked once, where the missing captions come from, for `stune cache why`.
    `negatives` are texts of guidance that the family encodes apart.
    """
    texts = {text_key(text, store.encoder): text for text in captions}
    apart = {text_key(text, store.encoder, negative=True): text for text in negatives}
    texts |= apart
    missing = store.missing(sorted(texts))
    size = family.captions_at_once(batch_size)
    groups = [missing[i : i + size] for i in range(0, len(missing), size)]
    if not groups:
        return True

    def encode(keys: Keys) -> Encoded:
        plain, others = [k for k in keys if k not in apart], [k for k in keys if k in apart]
        entries = family.encode_captions([texts[key] for key in plain], batch_size) if plain else []
        if others:
            family.load("text")
            entries += family.encode_negative([texts[key] for key in others])
        return dict(zip([*plain, *others], entries, strict=True)), {}

    store.describe(family.describe("text"))
    if places is not None:
        _note(store, places({texts[key] for key in missing if key not in apart}))
    try:
        return fill(
            store, groups, encode, on_progress=on_progress, should_stop=should_stop, room=room
        )
    finally:
        family.unload("text")


def _note(store: Store, places: Iterable[Place]) -> None:
    record(
        store.root,
        (
            Origin(
                source,
                relpath,
                store.kind,
                text_key(caption, store.encoder),
                store.encoder,
                text_parts(caption),
            )
            for caption, source, relpath in places
        ),
    )
