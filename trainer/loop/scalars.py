"""Step scalars wait on the device and are read once per log interval.

One `stack` and one copy to the host serve all steps since the last reading: the only host
synchronisation of steady training. The values then become metric rows and a progress event.
"""

from __future__ import annotations

import math
import time

import torch

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
        device = torch.stack(
            [torch.stack((s.loss.float(), s.grad_norm)) for _, _, s in self._pending]
        )
        rows = []
        for (step, epoch, s), (loss, norm) in zip(self._pending, device.tolist(), strict=True):
            self.samples += s.samples
            row = {"step": step, "epoch": epoch, "loss": loss, "lr": s.lr}
            rows.append(row | {"grad_norm": norm, "samples": self.samples})
            self._smooth(loss)
        self._pending.clear()
        self.session.metrics.append(rows)
        self._progress(rows)
        bad = next((r for r in rows if not math.isfinite(r["loss"] + r["grad_norm"])), None)
        if bad is not None:
            raise NumericFailure(_not_finite(bad))

    def _smooth(self, loss: float) -> None:
        if self.loss_ema is None or not math.isfinite(self.loss_ema):
            self.loss_ema = loss
        else:
            self.loss_ema = SMOOTHING * self.loss_ema + (1.0 - SMOOTHING) * loss

    def _progress(self, rows: list[dict[str, float]]) -> None:
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
            loss=last["loss"],
            loss_ema=self.loss_ema,
            lr=last["lr"],
            grad_norm=last["grad_norm"],
            it_s=round(rate, 4),
            wait_ms=round(1000 * wait_s, 2),
            eta_s=round((self.session.total - last["step"]) / rate, 1),
        )


def _not_finite(row: dict[str, float]):
    return finding(
        "RUN007",
        f"step {row['step']}: loss {row['loss']}, gradient norm {row['grad_norm']}",
        where=f"step {row['step']}",
        why="training past a NaN destroys the weights",
        fix="resume from the last checkpoint with a lower optimizer.lr, a longer "
        'schedule.warmup, or compute.precision.dtype = "fp32"',
    )
