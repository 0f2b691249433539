"""Keys of entries that nothing asked for: known ones with their reason, and unknown ones."""

from __future__ import annotations

from trainer.config.importers import values
from trainer.config.importers.simpletuner.datasets.entry import Entry
from trainer.config.importers.simpletuner.datasets.table import (
    DROPPED,
    KNOWN,
    LACKING,
    LACKING_BELOW,
    SECRETS,
)
from trainer.config.suggest import nearest

CACHES = ("text_embeds", "image_embeds", "conditioning_image_embeds", "distillation_cache")


def settle_rest(entry: Entry) -> None:
    """Keys that nobody asked for: known ones with their reason, and unknown ones."""
    if entry.dataset_type in CACHES and not entry.path:
        for name in SECRETS:
            if entry.given(name):
                entry.source.ignored(name, "secrets never stand in a job file")
        for name in entry.source.open_names():
            entry.source.ignored(name, "captions and latents are kept in one store here")
        return
    if not entry.path:
        for name in entry.source.open_names():
            entry.source.unsupported(
                name, f"datasets of type {entry.dataset_type!r} are not used here"
            )
        return
    for name in entry.source.open_names():
        _settle(entry, name)


def _settle(entry: Entry, name: str) -> None:
    value = entry.source.value(name)
    above = next((p for p in LACKING_BELOW if name == p or name.startswith(f"{p}.")), None)
    if name in DROPPED:
        entry.source.ignored(name, DROPPED[name])
    elif name in LACKING:
        why, off = LACKING[name]
        if values.empty(value) or any(values.same(value, o) for o in off):
            entry.source.ignored(name, "it is off, as it is here")
        else:
            entry.source.unsupported(name, why)
    elif above is not None:
        entry.source.unsupported(name, LACKING_BELOW[above])
    elif values.empty(value):
        entry.source.ignored(name, "it is empty")
    elif name in KNOWN:
        entry.source.ignored(name, "it has no effect with the other settings")
    else:
        _unknown(entry, name)


def _unknown(entry: Entry, name: str) -> None:
    near = nearest(name, KNOWN)
    hint = f"; did you mean {near[0]}?" if near else ""
    entry.source.unsupported(name, f"dataset entries have no such key{hint}")
    entry.tell(
        "IMP004",
        f"{name} is not a key of dataset entries",
        name,
        fix=f"did you mean {near[0]}?" if near else "remove it, or set what it means by hand",
        level="warn",
    )
