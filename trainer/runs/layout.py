"""Paths of a run directory: the one truth about a run (beyond.md §1.3).

Foreground runs and daemon runs write the same layout; the daemon's database is only an index
over it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

CHECKPOINT_PREFIX = "step-"
QUARANTINE_PREFIX = "bad-"
STAGING_PREFIX = ".staging-"


def step_name(step: int) -> str:
    return f"{CHECKPOINT_PREFIX}{step:08d}"


def step_of(name: str) -> int | None:
    """Step number of a `step-NNNNNNNN` folder name, else None."""
    digits = name.removeprefix(CHECKPOINT_PREFIX)
    return int(digits) if name.startswith(CHECKPOINT_PREFIX) and digits.isdigit() else None


@dataclass(frozen=True, slots=True)
class RunDir:
    """A run directory; nothing is created until `create()`."""

    path: Path

    def create(self) -> RunDir:
        for folder in (self.logs, self.checkpoints, self.artifacts, self.samples, self.attempts):
            folder.mkdir(parents=True, exist_ok=True)
        return self

    @property
    def config(self) -> Path:
        return self.path / "config.toml"

    @property
    def effective(self) -> Path:
        return self.path / "effective.json"

    @property
    def record(self) -> Path:
        return self.path / "run.json"

    @property
    def events(self) -> Path:
        return self.path / "events.jsonl"

    @property
    def metrics(self) -> Path:
        return self.path / "metrics.jsonl"

    @property
    def heartbeat(self) -> Path:
        return self.path / "heartbeat.json"

    @property
    def control(self) -> Path:
        return self.path / "control.jsonl"

    @property
    def exit(self) -> Path:
        return self.path / "exit.json"

    @property
    def lock(self) -> Path:
        return self.path / ".lock"

    @property
    def logs(self) -> Path:
        return self.path / "logs"

    @property
    def log(self) -> Path:
        return self.logs / "train.log"

    @property
    def checkpoints(self) -> Path:
        return self.path / "checkpoints"

    def checkpoint(self, step: int) -> Path:
        return self.checkpoints / step_name(step)

    @property
    def artifacts(self) -> Path:
        return self.path / "artifacts"

    @property
    def samples(self) -> Path:
        return self.path / "samples"

    def samples_at(self, step: int) -> Path:
        return self.samples / step_name(step)

    @property
    def attempts(self) -> Path:
        return self.path / "attempts"

    def attempt(self, number: int) -> Path:
        return self.attempts / str(number)


# What a checkpoint must share with the run that continues it (beyond.md B01).
IDENTITY_FIELDS = (
    "family",
    "mode",
    "denoiser",
    "assistant",
    "trainable",
    "adapter",
    "dataset",
    "seed",
    "batch_size",
    "accumulate",
    "precision",
    "optimizer",
    "ema",
    "world_size",
)
