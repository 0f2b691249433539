"""Encode captions that the store does not have yet."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from trainer.cache.keys import text_key
from trainer.cache.store import Store
from trainer.models.base import Family

Progress = Callable[[int, int], None]


def build_text(
    captions: Iterable[str],
    family: Family,
    store: Store,
    *,
    batch_size: int,
    on_progress: Progress,
    should_stop: Callable[[], bool],
) -> bool:
    """Store the embeddings of all captions; False when stopped before the end.

    Encoders are loaded only if something is missing, and dropped afterwards. Groups are formed
    from the whole sorted list, so an interrupted build and a whole one make the same tensors.
    """
    encoder = family.identity("text")
    wanted = sorted(set(captions))
    keys = {caption: text_key(caption, encoder) for caption in wanted}
    if not store.missing(keys.values()):
        return True
    with store.building():
        missing = store.missing(keys.values())
        if missing:
            family.load("text")
        try:
            for start in range(0, len(wanted), batch_size):
                group = wanted[start : start + batch_size]
                if any(keys[caption] in missing for caption in group):
                    if should_stop():
                        return False
                    entries = family.encode_text(group)
                    new = {
                        keys[c]: e
                        for c, e in zip(group, entries, strict=True)
                        if keys[c] in missing
                    }
                    store.put(new)
                on_progress(min(start + batch_size, len(wanted)), len(wanted))
        finally:
            family.unload("text")
    return True
