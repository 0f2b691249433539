"""How a dataset takes part in a run: batch size, weight, when, and on which side of a slider.

The pools of a dataset say what there is to draw; its part says how it is drawn.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from trainer.config.schema.data import DatasetConfig
from trainer.config.schema.root import JobConfig

Mix = Literal["epoch", "stream"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Active:
    """Half-open spans of optimiser steps and epochs; a dataset takes part when in both."""

    from_step: int = 0
    to_step: int | None = None
    from_epoch: int = 0
    to_epoch: int | None = None

    def at(self, step: int, epoch: int) -> bool:
        return (
            self.from_step <= step
            and self.from_epoch <= epoch
            and (self.to_step is None or step < self.to_step)
            and (self.to_epoch is None or epoch < self.to_epoch)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """Settings of one dataset; the defaults are those of a job that sets none of them."""

    batch_size: int | None = None  # samples of a rank's batch; default: train.batch_size
    weight: float = 1.0  # share of batches relative to the others, in mix stream
    active: Active = Active()
    slider: float | None = None
    role: Literal["train", "prior"] = "train"

    @property
    def turn(self) -> int:
        """Place in the cycle positive, negative, neutral; without `slider` it is neutral."""
        strength = self.slider or 0.0
        return 0 if strength > 0 else 1 if strength < 0 else 2


def parts_of(config: JobConfig, ids: Sequence[str]) -> Mapping[int, Part]:
    """The parts of the datasets with these ids, by their number in a plan."""
    configured = {d.id: d for d in config.data.datasets}
    return {n: _part(configured[name], config.train.epochs) for n, name in enumerate(ids)}


def _part(dataset: DatasetConfig, epochs: int | None) -> Part:
    asked = dataset.active
    active = Active()
    if asked is not None:
        # The last optimiser step may reach past the end of the last epoch: who takes part until
        # then stays for its remaining batches.
        to_end = epochs is not None and asked.to_epoch is not None and asked.to_epoch >= epochs
        active = Active(
            from_step=asked.from_step,
            to_step=asked.to_step,
            from_epoch=asked.from_epoch,
            to_epoch=None if to_end else asked.to_epoch,
        )
    return Part(
        batch_size=dataset.batch_size,
        weight=dataset.weight,
        active=active,
        slider=dataset.slider,
        role="prior" if dataset.role == "prior" else "train",
    )
