"""From configuration to data that can be trained on: scan, encode text, encode pictures.

Three phases, each resumable, each loading only what it needs, none loading anything when the
caches are complete. Afterwards the trainer works from plan and stores alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from trainer.cache.keys import text_key
from trainer.cache.store import Store
from trainer.config.schema.root import JobConfig
from trainer.data.batch import Batch
from trainer.data.caching import cache_samples, cache_text
from trainer.data.datasets import cache_root, datasets, square_size
from trainer.data.drawings import Drawing, drawings
from trainer.data.extent import demand_positions
from trainer.data.funnel import Funnel
from trainer.data.inputs import read_inputs
from trainer.data.loader import Loader, Reader
from trainer.data.mixing import mix_remarks
from trainer.data.needs import Stores
from trainer.data.part import Part, parts_of
from trainer.data.plan import Plan, demand_batches, make_plan, remarks
from trainer.data.sampler import Sampler
from trainer.data.scanning import scan_all
from trainer.data.task import Emit, Task, cache_guard, phase
from trainer.findings import Finding
from trainer.models.base import Family
from trainer.models.experts import other_expert


@dataclass(slots=True, kw_only=True)
class Prepared:
    """Plans and stores, and what validation draws; `other_embeds` maps each of its texts to the
    entry of the expert that draws the other noise levels."""

    plan_train: Plan
    plan_eval: Plan
    stores: Stores
    text: Store
    drawings: list[Drawing]
    sample_size: tuple[int, int]
    funnels: dict[str, Funnel]
    findings: list[Finding]
    seed: int
    other_embeds: dict[str, dict[str, Tensor]] = field(default_factory=dict)

    def reader(self, family: Family) -> Reader:
        return Reader(family, self.stores, self.text, self.seed)


def prepare(
    config: JobConfig,
    family: Family,
    *,
    on_event: Emit,
    should_stop: Callable[[], bool],
    run: Path | None = None,
    few: int | None = None,
) -> Prepared:
    """Scan and cache everything the run needs; raises Preempted when asked to stop.

    `few` limits the samples of each bucket: what a rehearsal takes.
    """
    pictures = read_inputs(config, family.facts)
    root = cache_root(config)
    task = Task(config, family, root, on_event, should_stop, run, few)
    with cache_guard(root):
        with phase(on_event, "scan"):
            tables = scan_all(task, datasets(config, family.facts))
            drawn = square_size(config, family.facts) if config.validation.texts else None
            demand_positions(tables, drawn, family.largest_side)
        with phase(on_event, "cache"):
            text = cache_text(task, tables)
            other = other_expert(config, family)
            other_text = cache_text(replace(task, family=other), []) if other else None
            stores, tables = cache_samples(task, tables)
            reader = Reader(family, stores, text, config.job.seed)
            drawn = drawings(config, family, reader, pictures, stores.seen_text)
    train = make_plan([t for t in tables if t.dataset.role != "eval"])
    batch, parts = config.train.batch_size, _parts(train, config)
    demand_batches(train, batch)
    task.report(*remarks(train, batch))
    task.report(*mix_remarks(train.pools, parts, config.data.mix, batch))
    return Prepared(
        plan_train=train,
        plan_eval=make_plan([t for t in tables if t.dataset.role == "eval"]),
        stores=stores,
        text=text,
        drawings=drawn,
        other_embeds=_texts(config, other_text) if other_text else {},
        sample_size=square_size(config, family.facts),
        funnels=task.funnels,
        findings=task.findings,
        seed=config.job.seed,
    )


def _texts(config: JobConfig, store: Store) -> dict[str, dict[str, Tensor]]:
    texts = {*config.validation.texts, config.validation.negative}
    return {text: store.get(text_key(text, store.encoder)) for text in texts}


# --- what the loop asks for --------------------------------------------------------------------


def make_sampler(
    plan: Plan, config: JobConfig, state: Mapping[str, Any] | None = None, *, world: int = 1
) -> Sampler:
    """The order of samples; `state` is what a checkpoint kept of the loader. DataError when the
    datasets' schedules leave a part of the run without data."""
    sampler = Sampler(
        plan.pools,
        seed=config.job.seed,
        batch_size=config.train.batch_size,
        world=world,
        parts=_parts(plan, config),
        mix=config.data.mix,
        accumulate=config.train.accumulate,
        state=state,
    )
    if config.train.steps is not None:
        sampler.demand_steps(config.train.steps)
    return sampler


def _parts(plan: Plan, config: JobConfig) -> Mapping[int, Part]:
    return parts_of(config, [table.dataset.id for table in plan.tables])


def steps_in_epochs(
    prepared: Prepared,
    config: JobConfig,
    epochs: int,
    state: Mapping[str, Any] | None = None,
    *,
    world: int = 1,
) -> int:
    """Optimiser steps that cover the first `epochs` epochs."""
    return make_sampler(prepared.plan_train, config, state, world=world).steps_until(epochs)


def make_loader(
    prepared: Prepared,
    family: Family,
    config: JobConfig,
    start: int,
    state: Mapping[str, Any] | None = None,
    *,
    rank: int = 0,
    world: int = 1,
) -> Loader:
    """Batches from micro-step `start` on; `state` is what a checkpoint kept of the loader."""
    return Loader(
        prepared.plan_train,
        make_sampler(prepared.plan_train, config, state, world=world),
        prepared.reader(family),
        seed=config.job.seed,
        start=start,
        workers=config.data.workers,
        prefetch=config.data.prefetch,
        one_partner=config.data.conditioning_mix == "random",
        rank=rank,
        world=world,
        pin=torch.cuda.is_available() and config.compute.device in ("auto", "cuda"),
    )


def eval_batches(prepared: Prepared, family: Family, config: JobConfig) -> Iterator[Batch]:
    """The held-out samples, always the same ones in the same batches.

    They are chosen by sample id, which is a hash, so every bucket is represented.
    """
    plan, reader = prepared.plan_eval, prepared.reader(family)
    listed = [
        (int(plan.tables[pool.dataset].ids[row]), number, place)
        for number, pool in enumerate(plan.pools)
        for place, row in enumerate(plan.rows[number])
    ]
    chosen = sorted(sorted(listed)[: config.eval.samples], key=lambda entry: entry[1:])
    for number in range(len(plan.pools)):
        places = [place for _, pool, place in chosen if pool == number]
        for start in range(0, len(places), config.train.batch_size):
            part = places[start : start + config.train.batch_size]
            items = [plan.item(number, place) for place in part]
            captions = [item.captions[0] for item in items]
            yield reader.batch(items, [0] * len(items), captions, plan.dataset(number))
