"""The training loop: steps, and what happens between them.

After each step, in this order: read scalars if due, checkpoint if due, measure and sample if due,
honour requests. The checkpoint comes before sampling, so an interruption there costs nothing.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from trainer.data.prepare import make_loader
from trainer.errors import Preempted
from trainer.faults import point
from trainer.findings import finding
from trainer.loop import saving
from trainer.loop.build import build_parts
from trainer.loop.parts import Parts
from trainer.loop.scalars import ScalarBuffer
from trainer.loop.session import Session
from trainer.loop.step import optimiser_step
from trainer.validate.schedule import Validation


def train(session: Session, config) -> int:
    """Run `config` to its end; returns the last step. Raises Preempted after a requested stop."""
    saving.may_begin(config.checkpoint, session)
    parts = build_parts(config, session)
    session.total = parts.total_steps
    buffer = ScalarBuffer(session, loss_ema=None, samples=0)
    progress = saving.resume(parts, session, buffer)
    start = session.step = progress.step if progress else 0
    session.events.emit(
        "run.start",
        attempt=session.attempt,
        resumed_step=start if progress else None,
        total_steps=parts.total_steps,
        trainable=sum(p.numel() for p in parts.parameters),
    )
    validation = Validation(parts, session)
    with session.phase("train"):
        steps(parts, session, buffer, validation, start, progress.data if progress else None)
        saving.publish(parts, session, session.step)
    return session.step


def steps(
    parts: Parts,
    session: Session,
    buffer: ScalarBuffer,
    validation: Validation,
    start: int,
    data: Mapping[str, Any] | None,
) -> None:
    """Steps `start + 1` to the last, with everything that is due between them."""
    config = parts.config
    validation.run_due(start)
    first = int(data["micro_step"]) if data else 0
    with make_loader(parts.prepared, parts.family, config, first, data) as loader:
        batches = iter(loader)
        saved = start
        for step in range(start + 1, parts.total_steps + 1):
            stop_if_asked(parts, session, buffer, loader, saved)
            point("step.before_batch")
            scalars = optimiser_step(parts, batches, step - 1)
            session.step = step
            buffer.add(step, loader.epoch, scalars)
            buffer.waited(loader.take_wait_s())
            last = step == parts.total_steps
            if last or step % config.debug.log_every == 0:
                buffer.flush()
            if last or step % config.checkpoint.every_steps == 0 or session.control.checkpoint:
                saved = checkpoint(parts, session, buffer, loader)
            started = time.perf_counter()
            validation.run_due(step)
            buffer.exclude(time.perf_counter() - started)
            session.beat()


def checkpoint(parts: Parts, session: Session, buffer: ScalarBuffer, loader) -> int:
    """Scalars first (their rows must be on disk, and finite), then the state."""
    buffer.flush()
    started = time.perf_counter()
    state = saving.capture(parts, buffer, session.step, loader.state())
    saving.save(parts, session, state)
    session.control.checkpoint = False
    buffer.exclude(time.perf_counter() - started)
    return session.step


def stop_if_asked(parts: Parts, session: Session, buffer: ScalarBuffer, loader, saved: int) -> None:
    """Between steps: write a checkpoint if there is anything new, then leave with 75."""
    if not session.control.stop_requested():
        return
    if session.step > saved:
        checkpoint(parts, session, buffer, loader)
    raise stopped(session)


def stopped(session: Session) -> Preempted:
    return Preempted(
        finding(
            "RUN009",
            f"stopped at step {session.step} of {session.total} on request",
            where=str(session.run.path),
            fix="start the same run again to continue",
            level="info",
            intent=session.control.stop_intent or "preempt",
        )
    )
