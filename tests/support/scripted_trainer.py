"""A stand-in for `python -m trainer` that trains nothing: events, heartbeat, control, exit record.

The job decides: `train.steps` steps, one every SCRIPTED_STEP_S seconds (default 0.02). With
SCRIPTED_HOLD set to a path, it waits at half time until that file exists, so a test chooses the
moment. SCRIPTED_EXIT ends the run at half time with that code. Exit codes are the trainer's.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

from trainer.findings import finding
from trainer.loop.control import Control
from trainer.runs.events import EventWriter
from trainer.runs.exitrecord import ExitRecord, write_exit
from trainer.runs.heartbeat import Heartbeat
from trainer.runs.layout import RunDir
from trainer.runs.metrics import MetricsWriter

STEP_S = float(os.environ.get("SCRIPTED_STEP_S", "0.02"))
HOLD = os.environ.get("SCRIPTED_HOLD")
EXIT = os.environ.get("SCRIPTED_EXIT")


class Run:
    """One attempt."""

    def __init__(self, run: RunDir, total: int, attempt: int) -> None:
        self.run, self.total, self.attempt = run, total, attempt
        self.events = EventWriter(run.events, run.path.name)
        self.control = Control(run, self.events)
        self.control.install_signals()
        self.heartbeat = Heartbeat(run.heartbeat, attempt=attempt)
        self.metrics = MetricsWriter(run.metrics)
        marker = run.path / "step"
        self.step = int(marker.read_text()) if marker.exists() else 0

    def main(self) -> int:
        self.run.exit.unlink(missing_ok=True)
        self.events.emit(
            "run.start",
            attempt=self.attempt,
            pid=os.getpid(),
            resumed_step=self.step,
            total_steps=self.total,
        )
        self.events.emit("phase", phase="train", state="begin")
        if self.step == 0:
            self.events.emit("eval", step=0, loss=1.0)
        while self.step < self.total:
            if (code := self._interrupted()) is not None:
                return code
            self._step()
        self.events.emit("eval", step=self.step, loss=0.25)
        self.events.emit(
            "adapter.saved", path="artifacts/a.safetensors", layout="diffusers", step=self.step
        )
        return self._end(0, "succeeded", "done")

    def _step(self) -> None:
        time.sleep(STEP_S)
        self.step += 1
        loss = 1.0 / self.step
        row = {"step": self.step, "epoch": 0, "loss": loss, "lr": 1e-4, "grad_norm": 1.0}
        self.metrics.append([row | {"samples": self.step}])
        print(f"step {self.step} of {self.total}", flush=True)
        extra = {"epoch": 0, "loss_ema": loss, "it_s": 50.0, "eta_s": 0.0, "total": self.total}
        self.events.emit("progress", **({k: row[k] for k in row if k != "epoch"} | extra))
        self.heartbeat.beat(phase="train", step=self.step, total=self.total)

    def _interrupted(self) -> int | None:
        """Hold, fail or stop, as asked."""
        half = self.step == self.total // 2
        while HOLD and half and not Path(HOLD).exists():
            if self.control.stop_intent:
                break
            self.heartbeat.beat(phase="train", step=self.step, total=self.total)
            time.sleep(0.02)
            self.control.poll()
        self.control.poll()
        if self.control.stop_intent:
            (self.run.path / "step").write_text(str(self.step))
            intent = self.control.stop_intent
            return self._end(75, "preempted" if intent == "preempt" else "stopped", intent)
        if EXIT and half:
            return self._end(int(EXIT), "failed", "nan_loss")
        return None

    def _end(self, code: int, status: str, reason: str) -> int:
        problem = None
        if status == "failed":
            problem = finding("RUN007", "the loss is not a number", fix="lower the rate")
            self.events.emit("finding", finding=problem.model_dump())
        self.events.emit("run.end", status=status, code=code, reason=reason, step=self.step)
        record = ExitRecord(
            code=code,
            status=status,
            reason=reason,
            step=self.step,
            attempt=self.attempt,
            finding=problem.model_dump() if problem else None,
        )
        write_exit(self.run.exit, record)
        return code


def main(argv: list[str]) -> int:
    config = json.loads(Path(argv[1]).read_text())
    run = RunDir(Path(argv[argv.index("--run-dir") + 1])).create()
    attempt = int(argv[argv.index("--attempt") + 1]) if "--attempt" in argv else 1
    return Run(run, config["train"]["steps"], attempt).main()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
