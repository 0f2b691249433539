"""What of a job is rehearsed: the job with its own samples, sizes and batch, but little of each."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from trainer.config.schema.root import JobConfig
from trainer.data.item import Item
from trainer.data.plan import Plan

STEPS = 2  # of the optimiser, and of the sampler


def rehearsed(config: JobConfig, cache: Path) -> JobConfig:
    """The same job with another cache; few samples fill its batches by being drawn again."""
    drawn = config.validation
    short = {"steps": min(drawn.steps, STEPS), "images_per_prompt": 1}
    few: dict[str, Any] = {"leftover": "pad", "active": None}
    datasets = [dataset.model_copy(update=few) for dataset in config.data.datasets]
    return config.model_copy(
        update={
            "cache": config.cache.model_copy(update={"root": str(cache)}),
            "validation": drawn.model_copy(update=short),
            "data": config.data.model_copy(update={"datasets": datasets}),
        }
    )


def largest_pool(plan: Plan, batch_size: int) -> int:
    """The bucket whose batches take most memory."""

    def weight(pool: int) -> float:
        size = plan.dataset(pool).batch_size or batch_size
        item = plan.item(pool, 0)
        return size * sum(map(extent, (item, *item.references)))

    return max(range(len(plan.pools)), key=weight)


def extent(item: Item) -> float:
    """Of one sample: pixels of all frames, or hundredths of seconds."""
    seconds = 0.0 if item.span is None else item.span[1]
    width, height = item.placement.target
    pixels = width * height
    return pixels * max(1, len(item.clip)) if pixels else 100 * seconds


def only(plan: Plan, pool: int) -> Plan:
    """The plan with one of its buckets."""
    return replace(plan, pools=(plan.pools[pool],), rows=(plan.rows[pool],))


def bucket_list(plan: Plan, largest: int) -> list[dict[str, Any]]:
    """The buckets that take part, for the report."""
    return [
        {"name": pool.name, "samples": pool.rows, "largest": number == largest}
        for number, pool in enumerate(plan.pools)
    ]
