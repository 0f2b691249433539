"""Step scalars wait on the device and are read once per log interval.

One `stack` and one copy to the host serve all steps since the last reading: the only host
synchronisation of steady training. The values then become metric rows and a progress event.
"""

from __future__ import annotations

import math
import time
from typing import Any

import torch
from torch import Tensor

from trainer.errors import NumericFailure
from trainer.findings import finding
from trainer.loop.session import Session
from trainer.loop.step import StepScalars

SMOOTHING = 0.98  # of the displayed loss


class ScalarBuffer:
    """Steps not yet read; `loss_ema` is the smoothed loss shown to people."""

    def __init__(self, session: Session, *, loss_ema: float | None, samples: int) -> None:
        self.session = session
        self.loss_ema = loss_ema
        self.samples = samples
        self._pending: list[tuple[int, int, StepScalars]] = []
        self._since = time.perf_counter()
        self._idle_s = 0.0
        self._wait_s = 0.0

    def add(self, step: int, epoch: int, scalars: StepScalars) -> None:
        self._pending.append((step, epoch, scalars))

    def exclude(self, seconds: float) -> None:
        """Take time spent outside training (saving, sampling) out of the shown rate."""
        self._idle_s += seconds

    def waited(self, seconds: float) -> None:
        """Time that steps spent waiting for their batches; told beside the rate."""
        self._wait_s += seconds

    def flush(self) -> None:
        """Read all pending scalars, write them, and refuse to go on with non-finite ones."""
        if not self._pending:
            return
        tensors = [
            t.float() for _, _, s in self._pending for t in (*losses(s).values(), s.grad_norm)
        ]
        values = iter(torch.stack(tensors).tolist())
        rows: list[dict[str, Any]] = []
        for step, epoch, s in self._pending:
            self.samples += s.samples
            row = {"step": step, "epoch": epoch} | {name: next(values) for name in losses(s)}
            rows.append(row | {"lr": s.lr, "grad_norm": next(values), "samples": self.samples})
            if "loss" in row:
                self._smooth(row["loss"])
        self._pending.clear()
        self.session.metrics.append(rows)
        self._progress(rows)
        bad = next((r for r in rows if not all(map(math.isfinite, r.values()))), None)
        if bad is not None:
            raise NumericFailure(_not_finite(bad))

    def _smooth(self, loss: float) -> None:
        if self.loss_ema is None or not math.isfinite(self.loss_ema):
            self.loss_ema = loss
        else:
            self.loss_ema = SMOOTHING * self.loss_ema + (1.0 - SMOOTHING) * loss

    def _progress(self, rows: list[dict[str, Any]]) -> None:
        now = time.perf_counter()
        seconds = max(1e-9, now - self._since - self._idle_s)
        self._since, self._idle_s = now, 0.0
        rate, wait_s = len(rows) / seconds, self._wait_s / len(rows)
        self._wait_s = 0.0
        last = rows[-1]
        self.session.events.emit(
            "progress",
            step=last["step"],
            total=self.session.total,
            epoch=last["epoch"],
            loss=next((r["loss"] for r in reversed(rows) if "loss" in r), self.loss_ema),
            loss_ema=self.loss_ema,
            lr=last["lr"],
            grad_norm=last["grad_norm"],
            it_s=round(rate, 4),
            wait_ms=round(1000 * wait_s, 2),
            eta_s=round((self.session.total - last["step"]) / rate, 1),
        )


def losses(scalars: StepScalars) -> dict[str, Tensor]:
    """The losses that the step has, by their name in the metrics."""
    named = {"loss": scalars.loss, "prior_loss": scalars.prior_loss}
    return {name: value for name, value in named.items() if value is not None}


def _not_finite(row: dict[str, Any]):
    loss = row.get("loss", row.get("prior_loss"))
    return finding(
        "RUN007",
        f"step {row['step']}: loss {loss}, gradient norm {row['grad_norm']}",
        where=f"step {row['step']}",
        why="training past a NaN destroys the weights",
        fix="resume from the last checkpoint with a lower optimizer.lr, a longer "
        'schedule.warmup, or compute.precision.dtype = "fp32"',
    )
