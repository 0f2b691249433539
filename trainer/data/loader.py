"""Batches in order, prepared ahead by threads.

A batch is a pure function of its micro-step, so the number of threads changes nothing but speed.
At most `DEPTH` batches a thread wait to be used; an error in a thread is raised where its batch
is asked for.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import torch
from torch import Tensor

from trainer.cache.keys import text_key
from trainer.cache.latents import item_key
from trainer.cache.store import Store
from trainer.data.batch import Batch
from trainer.data.captions import drawn_caption
from trainer.data.plan import Plan
from trainer.data.sampler import Sampler
from trainer.data.table import Item
from trainer.faults import point
from trainer.models.base import Family

DEPTH = 3  # batches ahead per thread


class Reader:
    """Puts batches together from the stores."""

    def __init__(self, family: Family, latents: Store, text: Store) -> None:
        self._family = family
        self._latents, self._text = latents, text

    def text_of(self, caption: str) -> dict[str, Tensor]:
        return self._text.get(text_key(caption, self._text.encoder))

    def batch(
        self, items: Sequence[Item], visits: Sequence[int], captions: Sequence[str], dataset: str
    ) -> Batch:
        """Items of one bucket with the captions they are shown with."""
        encoder = self._latents.encoder
        latents = [self._latents.get(item_key(item, encoder))["latent"] for item in items]
        return Batch(
            latents=torch.stack(latents),
            text=self._family.collate_text([self.text_of(caption) for caption in captions]),
            sizes=torch.tensor([size_row(item) for item in items]),
            sample_ids=tuple(item.sample_id for item in items),
            visits=tuple(visits),
            dataset=dataset,
        )


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
        self._ahead = DEPTH * workers
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
            batch = self.make(self.position)
            self.position += 1
            yield batch

    def _prefetched(self, pool: ThreadPoolExecutor) -> Iterator[Batch]:
        ahead: deque[Future[Batch]] = deque()
        following = self.position
        while True:
            while len(ahead) < self._ahead:
                ahead.append(pool.submit(self.make, following))
                following += 1
            batch = ahead.popleft().result()
            self.position += 1
            yield batch

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
        items = [self.plan.item(draw.pool, row) for row in draw.rows]
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
        batch = self._reader.batch(items, draw.visits, captions, dataset.id)
        return batch.pin() if self._pin else batch
