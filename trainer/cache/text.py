"""Embeddings of captions."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from trainer.cache.build import Encoded, Keys, Progress, fill
from trainer.cache.keys import text_key
from trainer.cache.store import Store
from trainer.models.base import Family


def build_text(
    captions: Iterable[str],
    family: Family,
    store: Store,
    *,
    batch_size: int,
    on_progress: Progress,
    should_stop: Callable[[], bool],
) -> bool:
    """Store the embeddings of all captions; False when asked to stop before the end.

    The encoders are loaded with the first caption that is missing, and dropped at the end.
    """
    texts = {text_key(caption, store.encoder): caption for caption in captions}
    missing = store.missing(sorted(texts))
    groups = [missing[i : i + batch_size] for i in range(0, len(missing), batch_size)]

    def encode(keys: Keys) -> Encoded:
        family.load("text")
        entries = family.encode_text([texts[key] for key in keys])
        return dict(zip(keys, entries, strict=True)), {}

    if not groups:
        return True
    try:
        return fill(store, groups, encode, on_progress=on_progress, should_stop=should_stop)
    finally:
        family.unload("text")
