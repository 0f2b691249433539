"""The part of the schedule that a model is trained on, for experts that share the noise levels.

An ensemble of experts (eDiff-I, 2211.01324) splits the way from noise to picture: each model
learns its own part and is wrong elsewhere. Bounds are shares of the schedule, 0 clean and 1 noise;
of a discrete one they are cut at the times at which diffusers' `denoising_end` and
`denoising_start` hand over, so that two experts share out all times and have none in common.

Flow times fall into the interval in one of two ways. `reject` draws until one lies inside: the
density keeps its shape there. `rescale` maps what was drawn onto the interval: the density is
squeezed into it as a whole. Both use the sample's own random stream alone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from trainer.config.schema.noise import IntervalConfig

MAX_TRIES = 10_000  # a density with less than this inside has no shape there worth keeping


@dataclass(frozen=True, slots=True)
class Interval:
    low: float = 0.0
    high: float = 1.0
    rescale: bool = False

    @staticmethod
    def of(config: IntervalConfig) -> Interval:
        return Interval(config.low, config.high, config.fit == "rescale")

    def times(self, num_times: int) -> tuple[int, int]:
        """First time of a discrete schedule that is trained, and the one after the last."""
        first = min(round(self.low * num_times), num_times - 1)
        return first, max(round(self.high * num_times), first + 1)

    def sigma(self, draw: Callable[[], float]) -> float:
        """One flow time within the bounds; `draw` gives the next of the whole range."""
        if self.rescale:
            return self._squeezed(draw())
        drawn = draw()
        for _ in range(MAX_TRIES):
            if self.low <= drawn <= self.high:
                return drawn
            drawn = draw()
        return self._squeezed(drawn)

    def _squeezed(self, sigma: float) -> float:
        return self.low + (self.high - self.low) * sigma


WHOLE = Interval()
