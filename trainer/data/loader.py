"""Batches in order, prepared ahead by threads.

A batch is a pure function of its micro-step, so the number of threads changes nothing but speed.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import torch

from trainer.config.schema.root import JobConfig
from trainer.data.batch import Batch
from trainer.data.captions import drawn_caption
from trainer.data.plan import Item
from trainer.data.sampler import Sampler
from trainer.faults import point
from trainer.models.base import Family

if TYPE_CHECKING:
    from trainer.data.prepare import Prepared

DEPTH = 3  # batches ahead per thread


class Loader:
    """Iterate from micro-step `start`; use as a context manager, so that threads end."""

    def __init__(
        self, prepared: Prepared, family: Family, config: JobConfig, sampler: Sampler, start: int
    ) -> None:
        self.prepared = prepared
        self.family = family
        self.config = config
        self.sampler = sampler
        self.position = start  # the next micro-step to hand out
        self._pin = torch.cuda.is_available() and config.compute.device in ("auto", "cuda")
        workers = config.data.workers
        self._pool = ThreadPoolExecutor(workers, "loader") if workers else None

    def __enter__(self) -> Loader:
        return self

    def __exit__(self, *_: object) -> None:
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)

    def __iter__(self) -> Iterator[Batch]:
        if self._pool is None:
            while True:
                batch = self.make(self.position)
                self.position += 1
                yield batch
        ahead: deque[Future[Batch]] = deque()
        following = self.position
        while True:
            while len(ahead) < DEPTH * self.config.data.workers:
                ahead.append(self._pool.submit(self.make, following))
                following += 1
            batch = ahead.popleft().result()
            self.position += 1
            yield batch

    @property
    def epoch(self) -> int:
        """Epoch of the batch handed out last, counted from 0."""
        return self.sampler.epoch_of(max(0, self.position - 1))

    def state(self) -> dict[str, Any]:
        """Position for a checkpoint."""
        return self.sampler.state(self.position)

    def make(self, micro_step: int) -> Batch:
        """The batch of one micro-step."""
        point("loader.prefetch")
        draw = self.sampler.draw(micro_step)
        plan = self.prepared.plan_train
        pool = plan.pools[draw.pool]
        items = [plan.items[draw.pool][row] for row in draw.rows]
        captions = [
            drawn_caption(
                item.captions,
                plan.dropout[pool.dataset],
                seed=self.config.job.seed,
                sample_id=item.sample_id,
                visit=visit,
            )
            for item, visit in zip(items, draw.visits, strict=True)
        ]
        name = plan.names[pool.dataset]
        batch = collate(self.prepared, self.family, items, draw.visits, captions, name)
        return batch.pin() if self._pin else batch


def collate(
    prepared: Prepared,
    family: Family,
    items: Sequence[Item],
    visits: Sequence[int],
    captions: Sequence[str],
    dataset: str,
) -> Batch:
    """Read latents and texts of the items and stack them."""
    latents = [prepared.latents.get(prepared.latent_key(item))["latent"] for item in items]
    texts = [prepared.text.get(prepared.text_key(caption)) for caption in captions]
    return Batch(
        latents=torch.stack(latents),
        text=family.collate_text(texts),
        sizes=torch.tensor([size_row(item) for item in items]),
        sample_ids=tuple(item.sample_id for item in items),
        visits=tuple(visits),
        dataset=dataset,
    )


def size_row(item: Item) -> tuple[int, int, int, int, int, int]:
    """Original height and width, crop top and left, target height and width."""
    where = item.placement
    return (item.height, item.width, where.top, where.left, where.target[1], where.target[0])
