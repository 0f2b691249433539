"""The stretch of the way from noise to picture that a model draws.

Most models draw all of it. Experts of a part of the noise levels draw theirs: from where another
expert left off, or from a picture that is noised so far; and down to where the next one takes
over, or with one last step to the picture that they foresee.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Stretch:
    """Bounds are shares of the schedule, 0 clean and 1 noise; `ends` in a picture, or leaves its
    noise to the next model."""

    low: float = 0.0
    high: float = 1.0
    ends: bool = True


WHOLE = Stretch()
