"""Between the loop and the disk: checkpoints of the run and adapters to take home."""

from __future__ import annotations

import errno
import shutil
import time
from pathlib import Path
from typing import Any

from trainer.adapters import assistant
from trainer.ckpt.identity import check_identity, shapes_digest
from trainer.ckpt.load import find_checkpoint, read_checkpoint, read_identity
from trainer.ckpt.retention import prune
from trainer.ckpt.save import save_checkpoint
from trainer.ckpt.state import Progress, TrainingState
from trainer.ckpt.verify import checkpoints
from trainer.config.schema.checkpoint import CheckpointConfig
from trainer.errors import NotResumable, TrainerError
from trainer.findings import finding
from trainer.loop.parts import Parts
from trainer.loop.scalars import ScalarBuffer
from trainer.loop.session import Session


class DiskFull(TrainerError):
    """The checkpoint could not be written; the previous one is intact."""

    exit_code = 70


def identity(parts: Parts) -> dict[str, Any]:
    """What a checkpoint must share with the run that continues it."""
    config = parts.config
    return {
        "family": config.model.family,
        "mode": config.model.mode,
        "denoiser": parts.family.identity("denoiser"),
        "assistant": assistant.identity(config.model),
        "trainable": shapes_digest(parts.trainable.state_dict()),
        "adapter": parts.trainable.traits(),
        "dataset": parts.prepared.plan_train.plan_hash,
        "seed": config.job.seed,
        "batch_size": config.train.batch_size,
        "accumulate": config.train.accumulate,
        "precision": config.compute.precision.dtype,
        "optimizer": config.optimizer.name,
        "ema": config.ema.enabled,
        "world_size": 1,
    }


def capture(parts: Parts, buffer: ScalarBuffer, step: int, data: dict[str, Any]) -> TrainingState:
    """The state after `step` optimiser steps; `data` is the loader's position."""
    progress = Progress(
        step=step,
        epoch=int(data["epoch"]),
        samples=buffer.samples,
        loss_ema=buffer.loss_ema,
        ema_count=parts.ema.count if parts.ema else 0,
        data=data,
    )
    return TrainingState(
        progress=progress,
        trainable=parts.trainable.state_dict(),
        optimizer=parts.optimizer.state_dict(),
        ema=parts.ema.state_dict() if parts.ema else None,
        identity=identity(parts),
    )


def save(parts: Parts, session: Session, state: TrainingState) -> Path:
    """Write the checkpoint, then drop the oldest ones."""
    root = session.run.checkpoints
    started = time.perf_counter()

    def export(staging: Path) -> None:
        if parts.config.model.mode == "adapter":  # full weights would only be a second copy
            with parts.weights_for_use():
                parts.trainable.save(staging / "adapter", step=state.progress.step)

    with session.phase("save"):
        try:
            path = save_checkpoint(root, state, export=export)
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS):
                raise
            raise disk_full(root, error) from error
        session.events.emit(
            "checkpoint.saved",
            step=state.progress.step,
            path=str(path.relative_to(session.run.path)),
            bytes=sum(p.stat().st_size for p in path.rglob("*") if p.is_file()),
            seconds=round(time.perf_counter() - started, 3),
        )
        for gone in prune(root, parts.config.checkpoint.keep):
            session.events.emit("checkpoint.pruned", path=gone.name)
    return path


def disk_full(where: Path, error: OSError) -> DiskFull:
    free = shutil.disk_usage(where).free
    return DiskFull(
        finding(
            "RUN006",
            f"cannot write below {where}: {error.strerror}",
            where=str(where),
            why=f"{free / 2**20:.0f} MiB are free there; the last complete checkpoint is intact",
            fix="free space or lower checkpoint.keep, then start the same run again",
        )
    )


def may_begin(config: CheckpointConfig, session: Session) -> None:
    """Refuse a run directory with checkpoints where nothing is to be continued, before any work."""
    root = session.run.checkpoints
    if config.resume == "never" and checkpoints(root):
        raise NotResumable(
            finding(
                "RUN014",
                f"{root} holds checkpoints, and this run is never to continue one",
                where="checkpoint.resume",
                why="starting over there would mix two runs and write over the first",
                fix='start in another run directory, or set checkpoint.resume = "auto"',
            )
        )


def resume(parts: Parts, session: Session, buffer: ScalarBuffer) -> Progress | None:
    """Continue from the newest whole checkpoint of the run directory, if there is one."""

    def quarantined(path: Path, reason: str) -> None:
        session.events.emit("checkpoint.quarantined", path=path.name, reason=reason)
        session.report(finding("RUN003", f"{path.name}: {reason}", where=str(path), level="warn"))

    root = session.run.checkpoints
    folder = find_checkpoint(root, report=quarantined)
    if folder is None:
        session.metrics.truncate_after(0)
        return None
    allow = parts.config.checkpoint.allow
    check_identity(read_identity(folder), identity(parts), allow=allow, where=str(folder))
    state = read_checkpoint(folder)
    parts.trainable.load_state_dict(state.trainable)
    parts.optimizer.load_state_dict(state.optimizer)
    if parts.ema is not None and state.ema is not None:
        parts.ema.load_state_dict(state.ema, state.progress.ema_count)
    buffer.loss_ema, buffer.samples = state.progress.loss_ema, state.progress.samples
    session.metrics.truncate_after(state.progress.step)
    return state.progress


def publish(parts: Parts, session: Session, step: int) -> None:
    """Write and verify the files that a user takes home, plain and averaged."""
    with session.phase("save"):
        with parts.weights_for_use():
            saved = parts.trainable.save(session.run.artifacts, step=step)
        if parts.ema is not None:
            saved += parts.trainable.save(
                session.run.artifacts, step=step, tensors=parts.ema.state_dict(), suffix="-ema"
            )
    for file in saved:
        session.events.emit(
            "adapter.saved",
            path=str(file.path.relative_to(session.run.path)),
            layout=file.layout,
            step=step,
            verified=file.verified,
            keys=file.keys,
        )
        for problem in file.findings:
            session.report(problem)
