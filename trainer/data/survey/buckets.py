"""The table of `data buckets`: which sizes are trained, how many batches they give, what is left.

The arithmetic is shown step by step, so that "why does my epoch have 37 steps?" has an answer.
"""

from __future__ import annotations

import math
from typing import Any

from trainer.data.course import Pool
from trainer.data.plan import Plan, make_plan, remarks
from trainer.data.sampler import Sampler
from trainer.data.survey.scan import Part
from trainer.data.survey.subject import Subject
from trainer.findings import Finding


def train_plan(parts: list[Part]) -> Plan:
    return make_plan([part.table for part in parts if part.dataset.role == "train"])


def buckets_document(subject: Subject, parts: list[Part]) -> tuple[dict[str, Any], list[Finding]]:
    """Buckets of what is trained on, and what the plan remarks about them."""
    train, plan = subject.config.train, train_plan(parts)
    rows = [_bucket(plan, number, train.batch_size) for number in range(len(plan.pools))]
    document = {
        "family": subject.facts.key,
        "batch_size": train.batch_size,
        "accumulate": train.accumulate,
        "buckets": rows,
        "epoch": epoch_arithmetic(subject, plan),
    }
    return document, remarks(plan, train.batch_size)


def _bucket(plan: Plan, number: int, batch_size: int) -> dict[str, Any]:
    pool, dataset = plan.pools[number], plan.dataset(number)
    width, height = map(int, pool.name.rpartition(":")[2].split("x"))
    return {
        "dataset": dataset.id,
        "width": width,
        "height": height,
        "aspect": round(width / height, 3),
        "samples": pool.rows,
        "repeats": pool.repeats,
        "entries": pool.entries,
        "batches": batches_of(pool, batch_size),
        "left": pool.entries % batch_size,
        "leftover": pool.leftover,
    }


def batches_of(pool: Pool, batch_size: int) -> int:
    """Batches that a pool gives in its first epoch."""
    if pool.leftover == "pad":
        return -(-pool.entries // batch_size)
    return pool.entries // batch_size


def epoch_arithmetic(subject: Subject, plan: Plan) -> dict[str, Any]:
    """Steps of the first epoch and of a run, with the sums they come from."""
    train = subject.config.train
    if not plan:
        return {"samples": 0, "batches": 0, "steps": 0, "shown": ["nothing to train on"]}
    samples, entries = sum(p.rows for p in plan.pools), sum(p.entries for p in plan.pools)
    batches = sum(batches_of(pool, train.batch_size) for pool in plan.pools)
    steps = batches / train.accumulate
    shown = [f"{samples} samples, {entries} draws an epoch with their repeats"]
    shown.append(f"draws / batch of {train.batch_size}, bucket by bucket: {batches} batches")
    if carried := sum(p.entries % train.batch_size for p in plan.pools if p.leftover == "carry"):
        shown.append(f"{carried} draws are carried into the next epoch")
    shown.append(f"{batches} batches / accumulate {train.accumulate} = {steps:g} steps an epoch")
    document: dict[str, Any] = {"samples": samples, "draws": entries, "batches": batches}
    document["steps"] = math.ceil(steps)
    if train.steps and batches:
        epochs = train.steps * train.accumulate * train.batch_size / entries
        shown.append(f"{train.steps} steps are about {epochs:.3g} epochs")
        document["epochs_of_run"] = round(epochs, 3)
    if train.epochs and batches:
        sampler = Sampler(plan.pools, seed=subject.config.job.seed, batch_size=train.batch_size)
        whole = math.ceil(sampler.micro_steps_until(train.epochs) / train.accumulate)
        shown.append(f"{train.epochs} epochs are {whole} steps")
        document["steps_of_run"] = whole
    document["shown"] = shown
    return document
