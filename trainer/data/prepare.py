"""From configuration to data that can be trained on: scan, encode text, encode pictures.

Three phases, each resumable, each loading only what it needs, none loading anything when the
caches are complete. Afterwards the trainer works from plan and stores alone.
"""

from __future__ import annotations

import errno
import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from trainer.cache.build import Progress, no_room
from trainer.cache.latents import NOT_FINITE, build_latents, item_key
from trainer.cache.store import Store
from trainer.cache.text import build_text
from trainer.config.schema.root import JobConfig
from trainer.data.batch import Batch
from trainer.data.funnel import Funnel, judge
from trainer.data.loader import Loader, Reader
from trainer.data.plan import Plan, demand_batches, make_plan, remarks
from trainer.data.sampler import Sampler, segments_of
from trainer.data.sources import index_of, sources, square_size
from trainer.data.table import Source, Table, make_table
from trainer.errors import Preempted
from trainer.findings import Finding, finding
from trainer.models.base import Family
from trainer.runs.homes import cache_home

PROGRESS_S = 0.5  # between two progress events


class Emit(Protocol):
    def __call__(self, kind: str, **fields: Any) -> Any: ...


@dataclass(slots=True, kw_only=True)
class Prepared:
    """Plans and stores; `prompt_embeds` maps each validation text to its entry."""

    plan_train: Plan
    plan_eval: Plan
    latents: Store
    text: Store
    prompt_embeds: dict[str, dict[str, Tensor]]
    sample_size: tuple[int, int]
    funnels: dict[str, Funnel]
    findings: list[Finding]

    def reader(self, family: Family) -> Reader:
        return Reader(family, self.latents, self.text)


@dataclass(slots=True)
class _Task:
    """What the phases share."""

    config: JobConfig
    family: Family
    root: Path
    emit: Emit
    should_stop: Callable[[], bool]
    funnels: dict[str, Funnel] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)

    def report(self, *found: Finding) -> None:
        self.findings.extend(found)
        for problem in found:
            self.emit("finding", finding=problem.model_dump())

    def judge(self, funnel: Funnel) -> None:
        data = self.config.data
        judge(funnel, on_corrupt=data.on_corrupt, missing_caption=data.missing_caption)

    def progress(self, store: str) -> Progress:
        """Reports at most twice a second, and the end always."""
        last = 0.0

        def report(done: int, total: int) -> None:
            nonlocal last
            if done == total or time.monotonic() - last >= PROGRESS_S:
                last = time.monotonic()
                self.emit("cache.progress", store=store, done=done, total=total)

        return report

    def check_stop(self) -> None:
        if self.should_stop():
            raise Preempted(
                finding(
                    "RUN009",
                    "stopped on request while preparing the data",
                    fix="start the same run again; what is prepared is kept",
                    level="info",
                )
            )


def prepare(
    config: JobConfig, family: Family, *, on_event: Emit, should_stop: Callable[[], bool]
) -> Prepared:
    """Scan and cache everything the run needs; raises Preempted when asked to stop."""
    root = Path(config.cache.root) if config.cache.root else cache_home() / "objects"
    root.mkdir(parents=True, exist_ok=True)
    task = _Task(config, family, root, on_event, should_stop)
    with _disk_guard(root):
        with _phase(on_event, "scan"):
            tables = [_scan(task, source) for source in sources(config, family.facts)]
        with _phase(on_event, "cache"):
            text = _cache_text(task, tables)
            latents, tables = _cache_latents(task, tables)
    roles = {d.id: d.role for d in config.data.datasets}
    train = make_plan([t for t in tables if roles[t.source.id] == "train"])
    demand_batches(train, config.train.batch_size)
    task.report(*remarks(train, config.train.batch_size))
    reader = Reader(family, latents, text)
    return Prepared(
        plan_train=train,
        plan_eval=make_plan([t for t in tables if roles[t.source.id] == "eval"]),
        latents=latents,
        text=text,
        prompt_embeds={prompt: reader.text_of(prompt) for prompt in validation_texts(config)},
        sample_size=square_size(config, family.facts),
        funnels=task.funnels,
        findings=task.findings,
    )


@contextmanager
def _phase(emit: Emit, name: str) -> Iterator[None]:
    emit("phase", phase=name, state="begin")
    yield
    emit("phase", phase=name, state="end")


@contextmanager
def _disk_guard(root: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise no_room(root, "the disk is full") from error


def _scan(task: _Task, source: Source) -> Table:
    """Index one folder and pass its files through the funnel."""
    progress = task.progress(f"index:{source.id}")

    def tick(done: int) -> None:
        progress(done, max(done, 1) + 1)  # the end is not known before it is there
        task.check_stop()

    index = index_of(task.root, source.root)
    index.scan(tick)
    index.hash_contents(source.min_size, tick)
    funnel = task.funnels[source.id] = Funnel(source.id, str(source.root))
    table = make_table(source, index.rows(), funnel)
    progress(funnel.found, funnel.found)
    task.judge(funnel)
    task.report(*funnel.findings("unreadable", "small", "uncaptioned", "bad caption"))
    return table


def validation_texts(config: JobConfig) -> list[str]:
    """Texts that validation needs embeddings of."""
    if not config.validation.enabled or not config.validation.prompts:
        return []
    return sorted({*config.validation.prompts, config.validation.negative})


def _cache_text(task: _Task, tables: list[Table]) -> Store:
    captions = {c for table in tables for row in range(len(table)) for c in table.captions(row)}
    captions.update(validation_texts(task.config))
    if any(table.source.caption.dropout for table in tables):
        captions.add("")
    store = Store(task.root, "text", task.family.identity("text"))
    whole = build_text(
        captions,
        task.family,
        store,
        batch_size=task.config.cache.batch_size,
        on_progress=task.progress("text"),
        should_stop=task.should_stop,
    )
    if not whole:
        task.check_stop()
    return store


def _cache_latents(task: _Task, tables: list[Table]) -> tuple[Store, list[Table]]:
    """Encode; the tables come back without the samples that could not be."""
    encoder = task.family.identity("vae")
    store = Store(task.root, "latents", encoder)
    keys = [[item_key(item, encoder) for item in table.items()] for table in tables]
    missing = set(store.missing([key for own in keys for key in own]))
    whole = build_latents(
        {
            key: table.item(row)
            for table, own in zip(tables, keys, strict=True)
            for row, key in enumerate(own)
            if key in missing
        },
        task.family,
        store,
        batch_size=task.config.cache.batch_size,
        on_progress=task.progress("latents"),
        should_stop=task.should_stop,
    )
    if not whole:
        task.check_stop()
    return store, [_encoded(task, store, t, k) for t, k in zip(tables, keys, strict=True)]


def _encoded(task: _Task, store: Store, table: Table, keys: list[bytes]) -> Table:
    """The table without the rows whose key is known to fail."""
    failures = store.failures(keys)
    if not failures:
        return table
    funnel = task.funnels[table.source.id]
    for row, key in enumerate(keys):
        if (reason := failures.get(key)) is not None:
            stage = "not finite" if reason == NOT_FINITE else "undecodable"
            funnel.lose(stage, table.relpaths[row], reason)
    rest = table.take(np.array([r for r, k in enumerate(keys) if k not in failures], dtype=int))
    funnel.used = len(rest)
    task.judge(funnel)
    task.report(*funnel.findings("undecodable", "not finite"))
    return rest


# --- what the loop asks for --------------------------------------------------------------------


def make_sampler(
    plan: Plan, config: JobConfig, state: Mapping[str, Any] | None = None, *, world: int = 1
) -> Sampler:
    return Sampler(
        plan.pools,
        seed=config.job.seed,
        batch_size=config.train.batch_size,
        world=world,
        segments=segments_of(state),
    )


def steps_in_epochs(prepared: Prepared, config: JobConfig, epochs: int) -> int:
    """Optimiser steps that cover the first `epochs` epochs."""
    micro = make_sampler(prepared.plan_train, config).micro_steps_until(epochs)
    return max(1, math.ceil(micro / config.train.accumulate))


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
            yield reader.batch(items, [0] * len(items), captions, plan.source(number).id)
