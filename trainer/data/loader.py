"""Batches in order, prepared ahead by threads.

A batch is a pure function of its micro-step, so the number of threads changes nothing but speed.
At most `prefetch` batches a thread wait to be used; an error in a thread is raised where its batch
is asked for.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import torch
from torch import Tensor

from trainer.cache.image_embeds import NAME as IMAGE_EMBEDS
from trainer.cache.kept import latent_of
from trainer.cache.keys import text_key
from trainer.cache.latents import item_key
from trainer.cache.masks import item_mask_key
from trainer.cache.pixels import KIND as PIXELS
from trainer.cache.pixels import NAME as RGB
from trainer.cache.seen_text import seen_key
from trainer.cache.store import Store
from trainer.data.batch import Batch
from trainer.data.captions import drawn_caption
from trainer.data.dataset import Dataset
from trainer.data.item import Item
from trainer.data.needs import Stores
from trainer.data.plan import Plan
from trainer.data.sampler import Sampler
from trainer.faults import point
from trainer.models.base import Family
from trainer.rng import stream_seed, unit


class Reader:
    """Puts batches together from the stores."""

    def __init__(self, family: Family, stores: Stores, text: Store, seed: int) -> None:
        self._seed = seed  # of draws from kept distributions
        self._family = family
        self._latents, self._masks, self._text = stores.latents, stores.masks, text
        self._stores = stores

    def text_of(self, caption: str, *, negative: bool = False) -> dict[str, Tensor]:
        return self._text.get(text_key(caption, self._text.encoder, negative=negative))

    def _shown(self, item: Item, caption: str) -> dict[str, Tensor]:
        store = self._stores.seen_text
        if store is None:
            return self.text_of(caption)
        return store.get(seen_key(caption, item, store.encoder))

    def batch(
        self,
        items: Sequence[Item],
        visits: Sequence[int],
        captions: Sequence[str],
        dataset: Dataset,
        only: int | None = None,
    ) -> Batch:
        """Items of one bucket with the captions they are shown with; `only` picks one of their
        conditioning partners."""
        conditioning = list(zip(*(item.references for item in items), strict=True))
        if only is not None and conditioning:
            conditioning = [conditioning[only % len(conditioning)]]
        return Batch(
            latents=self._stack(items, visits),
            text=self._family.collate_text(list(map(self._shown, items, captions))),
            sizes=torch.tensor([size_row(item) for item in items]),
            sample_ids=tuple(item.sample_id for item in items),
            visits=tuple(visits),
            dataset=dataset.id,
            masks=self._mask_batch(items),
            conditioning=tuple(map(self._references, conditioning)),
            image_embeds=self._embeds(items, visits),
            prior=dataset.role == "prior",
            slider=dataset.slider,
            timestep_offset=dataset.timestep_offset,
        )

    def _stack(self, items: Sequence[Item], visits: Sequence[int]) -> Tensor:
        return torch.stack(list(map(self._latent, items, visits)))

    def _references(self, items: Sequence[Item]) -> Tensor:
        store = self._stores.references
        entries = [store.get(item_key(item, store.encoder)) for item in items]
        if store.kind == PIXELS:  # a quarter of the bytes to the device
            return torch.stack([entry[RGB] for entry in entries])
        return torch.stack([entry["latent"] for entry in entries]).float()

    def _latent(self, item: Item, visit: int) -> Tensor:
        entry = self._latents.get(item_key(item, self._latents.encoder))
        return latent_of(entry, seed=self._seed, sample_id=item.sample_id, visit=visit)

    def _embeds(self, items: Sequence[Item], visits: Sequence[int]) -> Tensor | None:
        """What the denoiser is told of pictures, [B, ...]; zeros for samples not told theirs."""
        store = self._stores.image_embeds
        if store is None:
            return None
        share = self._family.image_embeds_share
        rows = []
        for item, visit in zip(items, visits, strict=True):
            picture = self._stores.embedded(item)[0]
            row = store.get(item_key(picture, store.encoder))[IMAGE_EMBEDS]
            draw = unit(stream_seed(self._seed, item.sample_id, visit, "image_embeds"))
            rows.append(row if draw < share else torch.zeros_like(row))
        return torch.stack(rows)

    def _mask_batch(self, items: Sequence[Item]) -> Tensor | None:
        """Masks [B, 1, h, w]; several masks of a sample are multiplied."""
        of_items = [[p for p in item.partners if p.role == "mask"] for item in items]
        if not of_items[0]:
            return None
        return torch.stack([self._mask(masks) for masks in of_items])

    def _mask(self, masks: Sequence[Item]) -> Tensor:
        whole = torch.ones(())
        for item in masks:
            stored = self._masks.get(item_mask_key(item, self._masks.encoder))["mask"]
            whole = whole * (stored.float() / 255.0)
        return whole


def size_row(item: Item) -> tuple[int, int, int, int, int, int]:
    """Original height and width, crop top and left, target height and width."""
    where = item.placement
    return (item.height, item.width, where.top, where.left, where.target[1], where.target[0])


class Loader:
    """Iterate from micro-step `start`; a context manager, so that its threads end."""

    def __init__(
        self,
        plan: Plan,
        sampler: Sampler,
        reader: Reader,
        *,
        seed: int,
        start: int = 0,
        workers: int = 0,
        prefetch: int = 3,
        one_partner: bool = False,
        rank: int = 0,
        world: int = 1,
        pin: bool = False,
    ) -> None:
        self.plan = plan
        self.sampler = sampler
        self.position = start  # the next micro-step to hand out
        self._reader = reader
        self._seed = seed
        self._rank, self._world = rank, world
        self._pin = pin
        self._ahead = prefetch * workers
        self._one_partner = one_partner
        self._waited_s = 0.0
        self._pool = ThreadPoolExecutor(workers, "loader") if workers else None

    def __enter__(self) -> Loader:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the threads; batches that nobody took are forgotten."""
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)

    def __iter__(self) -> Iterator[Batch]:
        return self._inline() if self._pool is None else self._prefetched(self._pool)

    def _inline(self) -> Iterator[Batch]:
        while True:
            started = time.perf_counter()
            batch = self.make(self.position)
            self._waited_s += time.perf_counter() - started
            self.position += 1
            yield batch

    def _prefetched(self, pool: ThreadPoolExecutor) -> Iterator[Batch]:
        ahead: deque[Future[Batch]] = deque()
        following = self.position
        while True:
            while len(ahead) < self._ahead:
                ahead.append(pool.submit(self.make, following))
                following += 1
            started = time.perf_counter()
            batch = ahead.popleft().result()
            self._waited_s += time.perf_counter() - started
            self.position += 1
            yield batch

    def take_wait_s(self) -> float:
        """Seconds that training waited for batches since this was last asked."""
        waited, self._waited_s = self._waited_s, 0.0
        return waited

    @property
    def epoch(self) -> int:
        """Epoch of the batch handed out last, counted from 0."""
        return self.sampler.epoch_of(max(0, self.position - 1))

    def state(self) -> Mapping[str, Any]:
        """Position for a checkpoint."""
        return {"plan_hash": self.plan.plan_hash, **self.sampler.state(self.position)}

    def make(self, micro_step: int) -> Batch:
        """This rank's batch of a micro-step."""
        point("loader.prefetch")
        draw = self.sampler.draw(micro_step).share(self._rank, self._world)
        dataset = self.plan.dataset(draw.pool)
        items = [
            self.plan.item(draw.pool, row, self._crop(dataset, draw.pool, row, visit))
            for row, visit in zip(draw.rows, draw.visits, strict=True)
        ]
        captions = [
            drawn_caption(
                item.captions,
                dataset.caption.dropout,
                seed=self._seed,
                sample_id=item.sample_id,
                visit=visit,
            )
            for item, visit in zip(items, draw.visits, strict=True)
        ]
        only = stream_seed(self._seed, micro_step, 0, "partner") if self._one_partner else None
        batch = self._reader.batch(items, draw.visits, captions, dataset, only)
        return batch.pin() if self._pin else batch

    def _crop(self, dataset: Dataset, pool: int, row: int, visit: int) -> int:
        """Which of its cached crops a visit shows of a sample."""
        if dataset.crops == 1:
            return 0
        draw = stream_seed(self._seed, self.plan.sample_id(pool, row), visit, "crop")
        return int(unit(draw) * dataset.crops)
