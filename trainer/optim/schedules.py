"""Learning-rate schedules as pure functions of the step (techniques.md §6.4).

`factor(k)` multiplies the configured rate at optimiser step k = 0..N-1. A schedule has no state:
resuming means calling it with another k. Warm-up rises linearly from 0 over `warmup` steps.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from torch.optim import Optimizer

from trainer.optim.fused_backward import FusedBackward


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """Rate at any step; `lr` and `end_lr` absolute, `warmup` and `total` in optimiser steps."""

    name: str
    lr: float
    end_lr: float
    warmup: int
    total: int
    cycles: float
    power: float

    def rate(self, step: int) -> float:
        if step < self.warmup:
            return self.lr * step / self.warmup
        if self.name == "constant":
            return self.lr
        progress = min(1.0, (step - self.warmup) / max(1, self.total - self.warmup))
        return self.end_lr + (self.lr - self.end_lr) * self._shape(progress)

    def _shape(self, x: float) -> float:
        match self.name:
            case "linear":
                return 1.0 - x
            case "polynomial":
                return (1.0 - x) ** self.power
            case "cosine":
                return (1.0 + math.cos(math.pi * x)) / 2.0
            case "cosine_with_restarts":
                within = (x * self.cycles) % 1.0 if x < 1.0 else 1.0
                return (1.0 + math.cos(math.pi * within)) / 2.0
            case "sine":
                return (1.0 + math.cos(2.0 * math.pi * x * self.cycles)) / 2.0
        raise AssertionError(f"schedule {self.name} has no shape")

    def apply(self, optimizer: Optimizer | FusedBackward, step: int) -> float:
        """Set the rate of step `step` on every group (scaled by the group's own factor)."""
        rate = self.rate(step)
        for group in optimizer.param_groups:
            group["lr"] = rate * group.get("lr_factor", 1.0)
        return rate
