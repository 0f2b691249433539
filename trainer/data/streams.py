"""Endless streams side by side: mix = "stream".

Each dataset has a course of its own and goes round it as often as its turns ask for; the turns
follow the weights. What the run calls an epoch is a round of its main dataset.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from trainer.data.course import Course, Spot, Standing
from trainer.data.turns import Turns


@dataclass(frozen=True, eq=False)
class Streams:
    """Courses by dataset; `epoch` is the one that lasts while the main dataset rests."""

    courses: Mapping[int, Course]
    turns: Turns
    main: int
    epoch: int

    def spot(self, index: int) -> Spot:
        """Where batch number `index` is cut."""
        dataset, before = self.turns.at(index)
        spot = self.courses[dataset].spot(before)
        return spot._replace(epoch=self.epoch_of(index))

    def epoch_of(self, batches: int) -> int:
        """Epoch that the run is in after `batches` batches."""
        if self.main not in self.courses:
            return self.epoch
        return self.courses[self.main].locate(self.turns.count(self.main, batches))[0]

    def batches_until(self, epoch: int) -> int | None:
        """Batches before the first one of `epoch`; None when it never begins."""
        if self.main not in self.courses:
            return None if epoch > self.epoch else 0
        return self.turns.slots_until(self.main, self.courses[self.main].batches_until(epoch))

    def standing(self, batches: int, epoch: int | None = None) -> Standing:
        """Where the streams are after the first `batches` batches; a round without a batch is no
        epoch of its own here, so `epoch` has no say."""
        del epoch
        streams: dict[int, tuple[int, int]] = {}
        for dataset, course in self.courses.items():
            streams |= course.standing(self.turns.count(dataset, batches)).streams
        return Standing(self.epoch_of(batches), streams)
