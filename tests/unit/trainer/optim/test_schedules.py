"""Schedules do what their names say."""

from __future__ import annotations

import itertools
import math

import pytest

from trainer.optim.schedules import Schedule


def schedule(name: str, **changes) -> Schedule:
    base = {"lr": 1.0, "end_lr": 0.1, "warmup": 10, "total": 110, "cycles": 2, "power": 2.0}
    return Schedule(name=name, **(base | changes))


@pytest.mark.parametrize(
    "name", ["constant", "linear", "cosine", "cosine_with_restarts", "polynomial", "sine"]
)
def test_warm_up_is_linear_from_zero(name):
    """Every schedule rises linearly and reaches lr exactly at the end of warm-up."""
    s = schedule(name)
    assert s.rate(0) == 0.0
    assert s.rate(5) == pytest.approx(0.5)
    assert s.rate(10) == pytest.approx(1.0)


@pytest.mark.parametrize("name", ["linear", "cosine", "polynomial"])
def test_falling_schedules_fall_monotonically_to_the_end(name):
    """A falling schedule never rises after warm-up and ends at end_lr."""
    s = schedule(name)
    rates = [s.rate(k) for k in range(10, 111)]
    assert all(a >= b for a, b in itertools.pairwise(rates))
    assert rates[-1] == pytest.approx(0.1)


def test_middle_values():
    """Half way: linear and cosine at the mean, polynomial at its power."""
    assert schedule("linear").rate(60) == pytest.approx(0.55)
    assert schedule("cosine").rate(60) == pytest.approx(0.55)
    assert schedule("polynomial").rate(60) == pytest.approx(0.1 + 0.9 * 0.25)
    assert schedule("cosine").rate(35) == pytest.approx(0.1 + 0.9 * (1 + math.cos(math.pi / 4)) / 2)


def test_restarts_start_again_at_lr():
    """Two cycles: full rate in the middle, low just before it."""
    s = schedule("cosine_with_restarts")
    assert s.rate(60) == pytest.approx(1.0)
    assert s.rate(59) < 0.12
    assert s.rate(110) == pytest.approx(0.1)


def test_sine_makes_full_waves():
    """Two waves: lr at the start, the middle and the end, end_lr between them."""
    s = schedule("sine")
    assert s.rate(60) == pytest.approx(1.0)
    assert s.rate(35) == pytest.approx(0.1)
    assert s.rate(110) == pytest.approx(1.0)
