"""Encode pictures that the store does not have yet.

Groups are formed per bucket from the sorted list of all samples, whether cached or not, so the
composition of an encode batch never depends on where an earlier build was interrupted. A picture
that fails is replaced by zeros in its own place: its neighbours keep theirs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import torch
from torch import Tensor

from trainer.cache.keys import latent_key
from trainer.cache.store import Entry, Store
from trainer.data.pixels import BadPicture, crop, read_picture
from trainer.data.plan import Item
from trainer.findings import Finding, finding
from trainer.models.base import Family

Progress = Callable[[int, int], None]
READERS = 2


def item_key(item: Item, background: str, encoder: str) -> str:
    return latent_key(item.content, item.placement, background, encoder)


def build_latents(
    items: Sequence[Item],
    family: Family,
    store: Store,
    *,
    background: str,
    batch_size: int,
    on_progress: Progress,
    should_stop: Callable[[], bool],
) -> tuple[bool, list[Finding]]:
    """Store the latents of all items; (False, …) when stopped, with findings of failed ones."""
    encoder = family.identity("vae")
    keys = {item.sample_id: item_key(item, background, encoder) for item in items}
    if not store.missing(keys.values()):
        return True, []
    problems: list[Finding] = []
    with store.building(), ThreadPoolExecutor(READERS) as readers:
        missing = store.missing(keys.values())
        if missing:
            family.load("vae")
        done = 0
        try:
            for group in groups(items, batch_size):
                if any(keys[item.sample_id] in missing for item in group):
                    if should_stop():
                        return False, problems
                    entries = _encode(group, family, background, readers, problems)
                    new = {keys[i]: e for i, e in entries.items() if keys[i] in missing}
                    store.put(new)
                done += len(group)
                on_progress(done, len(items))
        finally:
            family.unload("vae")
    return True, problems


def groups(items: Sequence[Item], batch_size: int) -> list[list[Item]]:
    """Encode batches: samples of one target size, in order of their key material."""
    buckets: dict[tuple[int, int], list[Item]] = {}
    for item in items:
        buckets.setdefault(item.placement.target, []).append(item)
    made = []
    for bucket in sorted(buckets):
        members = sorted(buckets[bucket], key=lambda i: (i.content, i.sample_id))
        made += [members[i : i + batch_size] for i in range(0, len(members), batch_size)]
    return made


def _encode(
    group: Sequence[Item],
    family: Family,
    background: str,
    readers: ThreadPoolExecutor,
    problems: list[Finding],
) -> dict[int, Entry]:
    """Latents of a group by sample id, without those that failed."""

    def pixels(item: Item) -> Tensor | str:
        try:
            return crop(read_picture(item.path, background), item.placement)
        except BadPicture as error:
            return str(error)

    read = list(readers.map(pixels, group))
    width, height = group[0].placement.target
    stack = [x if isinstance(x, Tensor) else torch.zeros(3, height, width) for x in read]
    seeds = [int(item.content[:15], 16) for item in group]
    latents = family.encode_media(torch.stack(stack), seeds)
    out: dict[int, Entry] = {}
    for item, source, latent in zip(group, read, latents, strict=True):
        if isinstance(source, str):
            problems.append(_failed("DAT003", item, f"cannot be read: {source}"))
        elif not torch.isfinite(latent).all():
            problems.append(_failed("DAT101", item, "its latent is not finite"))
        else:
            out[item.sample_id] = {"latent": latent.clone()}
    return out


def _failed(code: str, item: Item, what: str) -> Finding:
    return finding(
        code,
        f"{item.path.name}: {what}",
        where=str(item.path),
        why="it is left out of training",
        fix="replace or remove the file",
        level="warn",
    )
