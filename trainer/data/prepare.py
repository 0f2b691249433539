"""From configuration to data that can be trained on: scan, encode text, encode pictures.

Three phases, each resumable, each loading only what it needs. Afterwards the trainer works from
the stores alone.
"""

from __future__ import annotations

import errno
import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from torch import Tensor

from trainer.cache.keys import text_key
from trainer.cache.latents import build_latents, item_key
from trainer.cache.store import Store
from trainer.cache.text import build_text
from trainer.config.schema.root import JobConfig
from trainer.config.units import parse_resolution
from trainer.data.batch import Batch
from trainer.data.loader import Loader, collate
from trainer.data.plan import Item, Plan, make_plan
from trainer.data.sampler import Sampler, segments_of
from trainer.errors import DataError, Preempted
from trainer.findings import finding
from trainer.models.base import Family
from trainer.runs.homes import cache_home


class Emit(Protocol):
    def __call__(self, kind: str, **fields: Any) -> Any: ...


@dataclass(slots=True, kw_only=True)
class Prepared:
    """Plans and stores; `prompt_embeds` maps each validation prompt to its text entry."""

    plan_train: Plan
    plan_eval: Plan
    latents: Store
    text: Store
    vae_identity: str
    text_identity: str
    background: str
    prompt_embeds: dict[str, dict[str, Tensor]]
    sample_size: tuple[int, int]

    def latent_key(self, item: Item) -> str:
        return item_key(item, self.background, self.vae_identity)

    def text_key(self, caption: str) -> str:
        return text_key(caption, self.text_identity)


def prepare(
    config: JobConfig, family: Family, *, on_event: Emit, should_stop: Callable[[], bool]
) -> Prepared:
    """Scan and cache everything the run needs; raises Preempted when asked to stop."""
    root = Path(config.cache.root) if config.cache.root else cache_home() / "objects"
    with _phase(on_event, "scan"):
        train, held_out = _scan(config, family, root, on_event, should_stop)
    with _phase(on_event, "cache"), _disk_guard(root):
        text, latents = _stores(root, family)
        _cache_text(config, family, (train, held_out), text, on_event, should_stop)
        train, held_out = _cache_latents(
            config, family, (train, held_out), latents, on_event, should_stop
        )
    identity = family.identity("text")
    prompts = {p: text.get(text_key(p, identity)) for p in validation_texts(config)}
    return Prepared(
        plan_train=train,
        plan_eval=held_out,
        latents=latents,
        text=text,
        vae_identity=family.identity("vae"),
        text_identity=identity,
        background=config.data.background,
        prompt_embeds=prompts,
        sample_size=_sample_size(config, family, train),
    )


@contextmanager
def _phase(on_event: Emit, name: str) -> Iterator[None]:
    on_event("phase", phase=name, state="begin")
    yield
    on_event("phase", phase=name, state="end")


@contextmanager
def _disk_guard(root: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise DataError(
            finding(
                "DAT102",
                f"no space left for the cache below {root}",
                where=str(root),
                why="encoded samples are kept there; what is done so far is kept",
                fix="free space, or set cache.root to another disk, and start again",
            )
        ) from error


def _stopped() -> Preempted:
    return Preempted(finding("RUN009", "stopped while preparing the data", level="info"))


def _scan(
    config: JobConfig,
    family: Family,
    root: Path,
    on_event: Emit,
    should_stop: Callable[[], bool],
) -> tuple[Plan, Plan]:
    plans = []
    for role in ("train", "eval"):
        plan, funnels = make_plan(
            config, family.facts, role, root / "index", should_stop=should_stop
        )
        for name, funnel in funnels.items():
            on_event("cache.progress", store=f"index:{name}", done=funnel.used, total=funnel.found)
            for problem in funnel.lost:
                on_event("finding", finding=problem.model_dump())
        plans.append(plan)
    if should_stop():
        raise _stopped()
    if not plans[0]:
        raise DataError(
            finding("DAT012", "there is nothing to train on", fix="add a dataset with role train")
        )
    return plans[0], plans[1]


def _stores(root: Path, family: Family) -> tuple[Store, Store]:
    return (
        Store(root / "text" / family.identity("text")),
        Store(root / "latents" / family.identity("vae")),
    )


def validation_texts(config: JobConfig) -> set[str]:
    """Texts that validation needs embeddings of."""
    if not config.validation.enabled or not config.validation.prompts:
        return set()
    return {*config.validation.prompts, config.validation.negative}


def _cache_text(
    config: JobConfig,
    family: Family,
    plans: tuple[Plan, Plan],
    store: Store,
    on_event: Emit,
    should_stop: Callable[[], bool],
) -> None:
    captions = plans[0].captions | plans[1].captions | validation_texts(config)
    if any(plans[0].dropout):
        captions.add("")
    if not build_text(
        captions,
        family,
        store,
        batch_size=config.cache.batch_size,
        on_progress=lambda d, t: on_event("cache.progress", store="text", done=d, total=t),
        should_stop=should_stop,
    ):
        raise _stopped()


def _cache_latents(
    config: JobConfig,
    family: Family,
    plans: tuple[Plan, Plan],
    store: Store,
    on_event: Emit,
    should_stop: Callable[[], bool],
) -> tuple[Plan, Plan]:
    """Encode; the plans come back without samples whose picture failed to decode."""
    items = plans[0].all_items + plans[1].all_items
    whole, problems = build_latents(
        items,
        family,
        store,
        background=config.data.background,
        batch_size=config.cache.batch_size,
        on_progress=lambda d, t: on_event("cache.progress", store="latents", done=d, total=t),
        should_stop=should_stop,
    )
    if not whole:
        raise _stopped()
    for problem in problems:
        on_event("finding", finding=problem.model_dump())
    encoder = family.identity("vae")
    keys = {i.sample_id: item_key(i, config.data.background, encoder) for i in items}
    absent = store.missing(keys.values())
    gone = {i for i, key in keys.items() if key in absent}
    if gone and config.data.on_corrupt == "fail":
        raise DataError(*[p.model_copy(update={"level": "error"}) for p in problems])
    return plans[0].without(gone), plans[1].without(gone)


def _sample_size(config: JobConfig, family: Family, plan: Plan) -> tuple[int, int]:
    """Width and height of validation pictures in pixels."""
    multiple = 2 * family.facts.spatial_factor
    if config.validation.resolution is not None:
        edge = parse_resolution(config.validation.resolution).square
    else:
        first = next(d for d in config.data.datasets if d.role == "train")
        text = first.resolution or config.data.defaults.resolution
        edge = parse_resolution(text).square if text else family.facts.default_resolution
    edge = max(multiple, round(edge / multiple) * multiple)
    return edge, edge


def make_sampler(
    prepared: Prepared, config: JobConfig, state: Mapping[str, Any] | None = None
) -> Sampler:
    return Sampler(
        prepared.plan_train.pools,
        seed=config.job.seed,
        batch_size=config.train.batch_size,
        segments=segments_of(state),
    )


def steps_in_epochs(prepared: Prepared, config: JobConfig, epochs: int) -> int:
    """Optimiser steps that cover the first `epochs` epochs."""
    micro = make_sampler(prepared, config).micro_steps_until(epochs)
    return max(1, math.ceil(micro / config.train.accumulate))


def make_loader(
    prepared: Prepared,
    family: Family,
    config: JobConfig,
    start: int,
    state: Mapping[str, Any] | None = None,
) -> Loader:
    """Batches from micro-step `start` on; `state` is what a checkpoint kept of the sampler."""
    sampler = make_sampler(prepared, config, state)
    return Loader(prepared, family, config, sampler, start)


def eval_batches(prepared: Prepared, family: Family, config: JobConfig) -> Iterator[Batch]:
    """The held-out samples, always the same ones in the same batches."""
    left = config.eval.samples
    plan = prepared.plan_eval
    for pool, items in zip(plan.pools, plan.items, strict=True):
        chosen = items[:left]
        left -= len(chosen)
        for start in range(0, len(chosen), config.train.batch_size):
            part = chosen[start : start + config.train.batch_size]
            captions = [item.captions[0] for item in part]
            visits = [0] * len(part)
            yield collate(prepared, family, part, visits, captions, plan.names[pool.dataset])
