"""The table of `data buckets`: which sizes are trained, how many batches they give, what is left.

The arithmetic is shown step by step, so that "why does my epoch have 37 steps?" has an answer.
"""

from __future__ import annotations

import math
from typing import Any

from trainer.data.course import Pool
from trainer.data.part import parts_of
from trainer.data.plan import Plan, make_plan, remarks
from trainer.data.sampler import Sampler
from trainer.data.survey.scan import Scanned
from trainer.data.survey.subject import Subject
from trainer.findings import Finding

TRAINED = ("train", "prior")


def train_plan(parts: list[Scanned]) -> Plan:
    return make_plan([part.table for part in parts if part.dataset.role in TRAINED])


def buckets_document(
    subject: Subject, parts: list[Scanned]
) -> tuple[dict[str, Any], list[Finding]]:
    """Buckets of what is trained on, and what the plan remarks about them."""
    train, plan = subject.config.train, train_plan(parts)
    rows = [_bucket(subject, plan, number) for number in range(len(plan.pools))]
    document = {
        "family": subject.facts.key,
        "batch_size": train.batch_size,
        "accumulate": train.accumulate,
        "buckets": rows,
        "epoch": epoch_arithmetic(subject, plan),
    }
    return document, remarks(plan, train.batch_size)


def _bucket(subject: Subject, plan: Plan, number: int) -> dict[str, Any]:
    pool, dataset = plan.pools[number], plan.dataset(number)
    width, height = plan.item(number, 0).placement.target
    size = _batch_size(subject, plan, number)
    return {
        "dataset": dataset.id,
        "bucket": pool.name.removeprefix(f"{dataset.id}:"),
        "width": width,
        "height": height,
        "aspect": round(width / height, 3) if height else None,
        "samples": pool.rows,
        "repeats": pool.repeats,
        "entries": pool.entries,
        "batch_size": size,
        "batches": batches_of(pool, size),
        "left": pool.entries % size,
        "leftover": pool.leftover,
    }


def _batch_size(subject: Subject, plan: Plan, pool: int) -> int:
    return plan.dataset(pool).batch_size or subject.config.train.batch_size


def batches_of(pool: Pool, batch_size: int) -> int:
    """Batches that a pool gives in its first epoch."""
    if pool.leftover == "pad":
        return -(-pool.entries // batch_size)
    return pool.entries // batch_size


def epoch_arithmetic(subject: Subject, plan: Plan) -> dict[str, Any]:
    """Steps of the first epoch and of a run, with the sums they come from."""
    train, stream = subject.config.train, subject.config.data.mix == "stream"
    if not plan:
        return {
            "samples": 0,
            "draws": 0,
            "batches": 0,
            "steps": 0,
            "shown": ["nothing to train on"],
        }
    sizes = [_batch_size(subject, plan, number) for number in range(len(plan.pools))]
    pairs = list(zip(plan.pools, sizes, strict=True))
    samples, draws = (sum(p.rows for p, _ in pairs), sum(p.entries for p, _ in pairs))
    batches = sum(batches_of(pool, size) for pool, size in pairs)
    shown = [f"{samples} samples, {draws} draws an epoch with their repeats"]
    one = f" of {sizes[0]}" if len(set(sizes)) == 1 else ""
    shown.append(f"draws / batch{one}, bucket by bucket: {batches} batches")
    if carried := sum(pool.entries % size for pool, size in pairs if pool.carries):
        shown.append(f"{carried} draws are carried into the next epoch")
    steps = math.ceil(batches / train.accumulate)
    document: dict[str, Any] = {"samples": samples, "draws": draws, "batches": batches}
    document |= {"steps": steps, "shown": shown}
    if stream:
        shown.append("streams have no common epoch: weights decide how often a dataset is drawn")
    else:
        exact = batches / train.accumulate
        shown.append(
            f"{batches} batches / accumulate {train.accumulate} = {exact:g} steps an epoch"
        )
    document |= _run(subject, plan, shown)
    return document


def _run(subject: Subject, plan: Plan, shown: list[str]) -> dict[str, Any]:
    """How many epochs the steps of the job are, or the other way round."""
    config = subject.config
    train = config.train
    if not any(pool.fills(_batch_size(subject, plan, n)) for n, pool in enumerate(plan.pools)):
        shown.append("no bucket fills a batch, and leftovers are dropped: nothing is trained")
        return {}
    if train.epochs is None and train.steps is None:
        return {}
    sampler = Sampler(
        plan.pools,
        seed=config.job.seed,
        batch_size=train.batch_size,
        parts=parts_of(config, [table.dataset.id for table in plan.tables]),
        mix=config.data.mix,
        accumulate=train.accumulate,
    )
    if train.epochs is not None:
        steps = sampler.steps_until(train.epochs)
        shown.append(f"{train.epochs} epochs are {steps} steps")
        return {"steps_of_run": steps}
    assert train.steps is not None
    epoch = sampler.epoch_of(train.steps * train.accumulate - 1)
    shown.append(f"{train.steps} steps end in epoch {epoch + 1}")
    return {"epochs_of_run": epoch + 1}
