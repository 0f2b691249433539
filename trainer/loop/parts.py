"""What a training step works with; built once per process by `loop/build.py`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass

import torch
from torch.nn import Parameter
from torch.optim import Optimizer

from trainer.adapters.base import Trainable
from trainer.config.schema.root import JobConfig
from trainer.data.prepare import Prepared
from trainer.models.base import Family
from trainer.objective.compose import Objective
from trainer.optim.build import averaging
from trainer.optim.ema import EMA
from trainer.optim.fused_backward import FusedBackward
from trainer.optim.schedules import Schedule


@dataclass(slots=True, kw_only=True)
class Parts:
    config: JobConfig
    device: torch.device
    family: Family
    prepared: Prepared
    trainable: Trainable
    parameters: Sequence[Parameter]
    objective: Objective
    optimizer: Optimizer | FusedBackward
    schedule: Schedule
    ema: EMA | None
    autocast_dtype: torch.dtype | None
    total_steps: int

    def autocast(self) -> AbstractContextManager[object]:
        if self.autocast_dtype is None:
            return nullcontext()
        return torch.autocast(self.device.type, dtype=self.autocast_dtype)

    @contextmanager
    def weights_for_use(self) -> Iterator[None]:
        """Weights as they should be used and saved, restored bit for bit afterwards.

        Only a self-averaging optimiser distinguishes the two. Its own way back loses the last
        bits, so the training weights are kept aside instead.
        """
        if not averaging(self.optimizer):
            yield
            return
        kept = [p.data.clone() for p in self.parameters]
        self.optimizer.eval()  # type: ignore[attr-defined]
        try:
            yield
        finally:
            self.optimizer.train()  # type: ignore[attr-defined]
            for parameter, data in zip(self.parameters, kept, strict=True):
                parameter.data = data
