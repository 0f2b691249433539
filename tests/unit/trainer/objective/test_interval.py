"""Parts of the schedule: what is drawn lies inside, with the promised density, reproducibly."""

from __future__ import annotations

import math
from collections import Counter

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from trainer.catalog import family_facts
from trainer.config.rules.interval import density_inside
from trainer.config.schema.loss import LossConfig
from trainer.config.schema.noise import BetaConfig, IntervalConfig, NoiseConfig
from trainer.objective import ddpm, flow
from trainer.objective.compose import FlowObjective
from trainer.objective.cosine import CosineObjective, CosineSchedule
from trainer.objective.interval import Interval
from trainer.rng import stream_seed

SEEDS = [stream_seed(1, i, 0, "time") for i in range(4000)]
BOUNDS = st.tuples(st.integers(0, 99), st.integers(1, 100)).filter(lambda b: b[0] < b[1])
SIGMOID = flow.density("sigmoid", sigmoid_scale=1.0, alpha=2.0, beta_=2.0)


def sigmoid_cdf(sigma: float) -> float:
    if not 0.0 < sigma < 1.0:
        return float(sigma >= 1.0)
    return 0.5 * (1 + math.erf(math.log(sigma / (1 - sigma)) / math.sqrt(2)))


def distance(drawn: list[float], cdf) -> float:
    """Kolmogorov–Smirnov distance, times the square root of the count."""
    pairs = enumerate(sorted(drawn))
    worst = max(abs(cdf(s) - (i + 0.5) / len(drawn)) for i, s in pairs)
    return worst * math.sqrt(len(drawn))


@pytest.mark.parametrize("shift", [1.0, 3.0])
@pytest.mark.parametrize("bounds", [(0.0, 0.2), (0.2, 1.0), (0.4, 0.6), (0.9, 1.0)])
def test_rejection_keeps_the_density(bounds, shift):
    """Inside the bounds the draws follow the shifted density given that it lies there."""
    interval = Interval(*bounds)
    drawn = flow.draw_sigmas(SEEDS, SIGMOID, shift, interval=interval)

    def cdf(sigma: float) -> float:
        below, inside, above = (
            sigmoid_cdf(flow.shift_sigma(s, 1 / shift)) for s in (bounds[0], sigma, bounds[1])
        )
        return (inside - below) / (above - below)

    assert bounds[0] <= min(drawn)
    assert max(drawn) <= bounds[1]
    assert distance(drawn, cdf) < 1.63


@pytest.mark.parametrize("bounds", [(0.0, 0.2), (0.4, 0.6), (0.875, 1.0)])
def test_rescaling_squeezes_what_would_be_drawn(bounds):
    """Each sample's own draw, mapped by one straight line: nothing else about it changes."""
    plain = torch.tensor(flow.draw_sigmas(SEEDS, SIGMOID, 3.0), dtype=torch.float64)
    found = flow.draw_sigmas(SEEDS, SIGMOID, 3.0, interval=Interval(*bounds, rescale=True))
    low, high = bounds
    torch.testing.assert_close(
        torch.tensor(found, dtype=torch.float64), low + (high - low) * plain, atol=1e-5, rtol=0
    )


@given(BOUNDS, st.sampled_from([100, 1000, 1100]))
def test_two_experts_share_out_all_times(bounds, count):
    """No time is drawn by both sides of a boundary, and none by neither."""
    boundary = bounds[1] / 101  # strictly inside, and in no schedule a whole time
    last, after = Interval(0.0, boundary).times(count)
    first, end = Interval(boundary, 1.0).times(count)
    assert (last, end) == (0, count)
    assert 0 < after == first < count


@given(BOUNDS)
def test_discrete_times_are_uniform_inside(bounds):
    """Every time of the part comes up, none outside of it."""
    low, high = bounds
    drawn = Counter(ddpm.draw_times(SEEDS, 100, Interval(low / 100, high / 100)))
    assert set(drawn) <= set(range(low, high))
    expected = len(SEEDS) / (high - low)
    assert max(drawn.values()) < expected + 6 * math.sqrt(expected)


@pytest.mark.parametrize("fit", ["reject", "rescale"])
@pytest.mark.parametrize("name", ["sigmoid", "uniform", "beta"])
def test_the_whole_interval_changes_nothing(name, fit):
    """0 to 1 draws bit for bit what no interval draws, either way."""
    density = flow.density(name, sigmoid_scale=1.0, alpha=2.0, beta_=2.0)
    whole = Interval.of(IntervalConfig(low=0.0, high=1.0, fit=fit))
    assert flow.draw_sigmas(SEEDS, density, 3.0, interval=whole) == flow.draw_sigmas(
        SEEDS, density, 3.0
    )
    assert ddpm.draw_times(SEEDS, 1000, whole) == ddpm.draw_times(SEEDS, 1000)


def objective(**interval) -> FlowObjective:
    noise = NoiseConfig(interval=IntervalConfig(**interval))
    return FlowObjective(noise, LossConfig(), sampling="sigmoid", shift=None, patch=1, scheduler={})


@pytest.mark.parametrize("fit", ["reject", "rescale"])
def test_a_sample_draws_the_same_in_any_company(fit):
    """However often a neighbour had to be drawn again: time and noise stay keyed by the sample."""
    made = objective(low=0.9, fit=fit)
    latents = torch.zeros(4, 1, 2, 2)
    together = made.draw(latents, 5, [1, 2, 3, 4], [0, 1, 2, 3])
    alone = made.draw(latents[:1], 5, [3], [2])
    assert together.time[2] == alone.time[0]
    assert torch.equal(together.noise[2], alone.noise[0])
    assert torch.equal(
        together.noise, objective().draw(latents, 5, [1, 2, 3, 4], [0, 1, 2, 3]).noise
    )


def test_an_interval_that_is_never_hit_still_ends():
    """A density with next to nothing inside is squeezed into it instead of drawn for ever."""
    narrow = flow.density("sigmoid", sigmoid_scale=0.01, alpha=2.0, beta_=2.0)
    drawn = flow.draw_sigmas(SEEDS[:3], narrow, 1.0, interval=Interval(0.98, 1.0))
    assert all(0.98 <= s <= 1.0 for s in drawn)
    assert drawn == flow.draw_sigmas(SEEDS[:3], narrow, 1.0, interval=Interval(0.98, 1.0))


@pytest.mark.parametrize("sampling", ["sigmoid", "uniform", "beta"])
@pytest.mark.parametrize("shift", [1.0, 3.0])
def test_lint_knows_how_much_is_drawn_inside(sampling, shift):
    """The share that the warning goes by is that of real draws."""
    noise = NoiseConfig(
        sampling=sampling,
        shift=shift,
        sigmoid_scale=1.3,
        beta=BetaConfig(alpha=2.0, beta=3.0),
        interval=IntervalConfig(low=0.3, high=0.7),
    )
    density = flow.density(sampling, sigmoid_scale=1.3, alpha=2.0, beta_=3.0)
    inside = [0.3 <= s <= 0.7 for s in flow.draw_sigmas(SEEDS, density, shift)]
    believed = density_inside(noise, family_facts("flux"))
    assert sum(inside) / len(SEEDS) == pytest.approx(believed, abs=0.025)


def test_a_warped_density_is_cut_after_its_warp():
    """What the model sees lies in the interval, and lint counts the same draws."""
    density, warp = (
        flow.density("sigmoid", sigmoid_scale=1.0, alpha=2.0, beta_=2.0),
        flow.to_the_ends,
    )
    drawn = flow.draw_sigmas(SEEDS, density, 1.0, warp=warp, interval=Interval(0.1, 1.0))
    assert min(drawn) >= 0.1
    assert not any(0.26 < sigma < 0.74 for sigma in drawn)
    noise = NoiseConfig(sampling="sigmoid", shift=1.0, interval=IntervalConfig(low=0.1, high=0.5))
    inside = [0.1 <= s <= 0.5 for s in flow.draw_sigmas(SEEDS, density, 1.0, warp=warp)]
    believed = density_inside(noise, family_facts("chroma"))
    assert sum(inside) / len(SEEDS) == pytest.approx(believed, abs=0.025)


def test_an_interval_of_the_continuous_cosine_schedule():
    """Its times are shares of the schedule themselves; the whole interval changes no draw."""
    ids, latents = range(200), torch.zeros(200, 1, 1, 1)

    def times(**interval):
        objective = CosineObjective(
            LossConfig(), schedule=CosineSchedule(), p2_gamma=0.0, interval=Interval(**interval)
        )
        return objective.draw(latents, 1, ids, [0] * 200).time

    part = times(low=0.6, high=0.8)
    assert ((part >= 0.6) & (part <= 0.8)).all()
    whole = times()
    kept = (whole >= 0.6) & (whole <= 0.8)
    assert 20 < kept.sum() < 60
    assert torch.equal(part[kept], whole[kept])
