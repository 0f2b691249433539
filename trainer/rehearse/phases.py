"""The phases of a rehearsal: the functions that a run calls, on few samples, in the run's order.

`build` is what `loop/build.py` does, with a look between its steps; it runs twice, the second time
from the caches and the checkpoint of the first, as a resumed run does.
"""

from __future__ import annotations

import gc
import traceback
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from trainer.adapters.build import build_trainable
from trainer.config.schema.root import JobConfig
from trainer.data.datasets import cache_root
from trainer.data.loader import Loader
from trainer.data.prepare import make_loader, prepare
from trainer.errors import TrainerError
from trainer.loop import saving
from trainer.loop.build import assemble, open_family, weights_dtype
from trainer.loop.parts import Parts
from trainer.loop.scalars import ScalarBuffer
from trainer.loop.session import Session
from trainer.loop.step import optimiser_step
from trainer.loop.train import checkpoint
from trainer.rehearse import audit
from trainer.rehearse.compare import Kept, compare, keep
from trainer.rehearse.place import scratch_beside
from trainer.rehearse.reads import Reads
from trainer.rehearse.report import Report
from trainer.rehearse.select import STEPS, bucket_list, largest_pool, only, rehearsed
from trainer.runs.events import EventTail
from trainer.runs.layout import RunDir
from trainer.validate.sample import make_samples
from trainer.validate.schedule import Validation, no_pictures

ERROR = {"level": "error", "why": "every validation of the run would fail like this"}
OF_PREPARE = {"scan": "scan", "cache": "encode"}  # its phases and ours


@dataclass(slots=True)
class Stage:
    """What all phases share."""

    config: JobConfig
    session: Session
    report: Report
    samples: int


def rehearse(
    config: JobConfig,
    run: Path,
    samples: int,
    report: Report,
    *,
    show: Callable[[dict], None],
    reads: Reads,
) -> None:
    """Run all phases; errors are raised in the phase that has them."""
    report.begin("place")
    with (
        scratch_beside(run, "run directory", "job.output_dir") as room,
        scratch_beside(cache_root(config), "cache", "cache.root") as cache,
    ):
        scratch = RunDir(room / "run").create()
        job = rehearsed(config, cache)
        reads.watch(job)
        name = config.job.name or "rehearsal"
        with closing(Session(scratch, name=name, attempt=1)) as session:
            report.listen(EventTail(scratch.events))
            stage = Stage(job, session, report, samples)
            kept, calls = first_life(stage, show)
            _release()
            second_life(stage, kept, calls)


def first_life(stage: Stage, show: Callable[[dict], None]) -> tuple[Kept, audit.EncoderCalls]:
    """From the job to its first checkpoint."""
    report, session = stage.report, stage.session

    def told(kind: str, **fields: Any) -> None:
        if kind == "phase" and fields["state"] == "begin":
            report.begin(OF_PREPARE[fields["phase"]])
        session.events.emit(kind, **fields)
        if kind == "cache.progress":
            show({"kind": kind, **fields})

    report.begin("inputs")
    parts, calls = build(stage, told, measure=True)
    report.begin("train")
    buffer = ScalarBuffer(session, loss_ema=None, samples=0)
    session.total = parts.total_steps
    with make_loader(parts.prepared, parts.family, stage.config, 0) as loader:
        train(stage, parts, buffer, loader)
        report.begin("checkpoint")
        checkpoint(parts, session, buffer, loader)
        state = saving.capture(parts, buffer, session.step, dict(loader.state()))
        following = loader.make(loader.position)
    return keep(state, following, parts.family.probe()), calls


def build(
    stage: Stage, told: Callable[..., object], *, measure: bool
) -> tuple[Parts, audit.EncoderCalls]:
    """The parts of the training; `measure` audits options on the way."""
    config, report = stage.config, stage.report
    family = open_family(config)
    calls = audit.EncoderCalls(family)
    prepared = prepare(
        config,
        family,
        on_event=told,
        should_stop=lambda: False,
        run=stage.session.run.path,
        few=stage.samples,
    )
    prepared.drawings = prepared.drawings[:1]
    if measure:
        report.begin("load")
    family.load("denoiser")
    trainable = build_trainable(config, family, weights_dtype(config))
    plain = None
    if measure and config.compute.checkpointing.enabled and not config.compute.offload.blocks:
        plain = audit.kept_by_forward(family)
    family.ready_denoiser()
    parts = assemble(config, family, prepared, trainable)
    if measure:
        note(report, audit.checkpointing_effect(config, plain, family))
        note(report, audit.weight_effects(config, family))
        note(report, audit.target_effects(config, family, trainable))
        report.facts |= {"device": str(family.device), "trainable": _count(parts)}
    return parts, calls


def train(stage: Stage, parts: Parts, buffer: ScalarBuffer, loader: Loader) -> None:
    """One step on the largest bucket, one on what the run would begin with."""
    config, plan = stage.config, parts.prepared.plan_train
    largest = largest_pool(plan, config.train.batch_size)
    stage.report.facts["buckets"] = bucket_list(plan, largest)
    wide = replace(parts.prepared, plan_train=only(plan, largest))
    with make_loader(wide, parts.family, config, 0) as first:
        buffer.add(1, 0, optimiser_step(parts, iter(first), 0))
    batches = iter(loader)
    for step in range(1, STEPS):
        buffer.add(step + 1, loader.epoch, optimiser_step(parts, batches, step))
    buffer.flush()
    stage.session.step = STEPS


def second_life(stage: Stage, kept: Kept, first: audit.EncoderCalls) -> None:
    """From the checkpoint to pictures and files."""
    report, session, config = stage.report, stage.session, stage.config
    report.begin("reload")
    parts, calls = build(stage, session.events.emit, measure=False)
    note(report, [audit.cache_effect(first, calls)])
    buffer = ScalarBuffer(session, loss_ema=None, samples=0)
    progress = saving.resume(parts, session, buffer)
    assert progress is not None, "the checkpoint was just written"
    start = int(progress.data["micro_step"])
    with make_loader(parts.prepared, parts.family, config, start, progress.data) as loader:
        state = saving.capture(parts, buffer, progress.step, dict(loader.state()))
        again = keep(state, loader.make(start), parts.family.probe())
    exact = parts.device.type == "cpu" or config.compute.deterministic
    if (problem := compare(kept, again, exact=exact)) is not None:
        report.add(problem)
    validate(stage, parts)
    report.begin("export")
    saving.publish(parts, session, STEPS)
    report.end()


def validate(stage: Stage, parts: Parts) -> None:
    """One prompt with two sampler steps, and the numbers that are measured."""
    config, report = stage.config, stage.report
    measured = parts.prepared.plan_eval or config.eval.style_reference is not None
    if not parts.prepared.drawings and not measured:
        report.skip("validate", "the job draws and measures nothing")
        return
    report.begin("validate")
    if parts.prepared.drawings:
        try:
            make_samples(parts, stage.session, STEPS)
        except (TrainerError, MemoryError, torch.OutOfMemoryError):
            raise
        except Exception as error:  # a run would go on without pictures and say this
            traceback.print_exc()
            raise TrainerError(no_pictures(STEPS, error).model_copy(update=ERROR)) from error
    Validation(parts, stage.session).measure(STEPS)


def note(report: Report, effects: Any) -> None:
    """Effects go to the report, those that are missing to the findings."""
    for effect in effects:
        report.effects.append(effect)
        report.add(*(f for f in [audit.remark(effect)] if f is not None))


def _count(parts: Parts) -> int:
    return sum(parameter.numel() for parameter in parts.parameters)


def _release() -> None:
    """The first life is over: give its memory back before the second begins."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
