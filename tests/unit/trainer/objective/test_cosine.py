"""Continuous time on the cosine schedule: diffusers' own noising, upstream's weight and times."""

from __future__ import annotations

import math

import pytest
import torch

from trainer.config.schema.loss import HuberConfig, LossConfig, SnrConfig
from trainer.objective.cosine import EARLIEST, CosineObjective, CosineSchedule, p2_weight


def objective(*, p2_gamma: float = 1.0, **loss) -> CosineObjective:
    return CosineObjective(LossConfig(**loss), schedule=CosineSchedule(), p2_gamma=p2_gamma)


@pytest.mark.parametrize("config", [{}, {"scaler": 2.0}, {"scaler": 0.5}, {"s": 0.02}])
def test_noising_equals_the_scheduler(config):
    """DDPMWuerstchenScheduler.add_noise to 1e-6, at both clamped ends and between, any setting."""
    from diffusers import DDPMWuerstchenScheduler

    scheduler = DDPMWuerstchenScheduler(**config)
    time = torch.tensor([0.0, 1e-3, 0.1, 0.37, 0.5, 0.8, 0.999, 1.0])
    x0, noise = torch.randn(8, 4, 3, 3), torch.randn(8, 4, 3, 3)
    ours = CosineObjective(
        LossConfig(), schedule=CosineSchedule.of(dict(scheduler.config)), p2_gamma=1.0
    )
    corrupted = ours.corrupt(x0, noise, time)
    expected = scheduler.add_noise(x0, noise, time)
    torch.testing.assert_close(corrupted.noisy, expected, atol=1e-6, rtol=1e-5)
    assert torch.equal(corrupted.target, noise)
    assert torch.equal(corrupted.time, time)


def test_the_ends_keep_a_little_of_both():
    """alpha-bar stays within 0.0001 and 0.9999, so the SNR is finite everywhere."""
    abar = CosineSchedule().alpha_bar(torch.tensor([0.0, 0.5, 1.0]))
    torch.testing.assert_close(abar[[0, 2]], torch.tensor([0.9999, 0.0001]))
    assert 0.45 < abar[1] < 0.55
    fine = CosineSchedule().alpha_bar(torch.linspace(0, 1, 200))
    assert (fine.diff() <= 0).all()


def test_p2_is_the_share_of_noise():
    """(1 + SNR)^-1 equals 1 - alpha-bar; twice the exponent is its square."""
    time = torch.linspace(0.01, 1, 9)
    abar = CosineSchedule().alpha_bar(time)
    zeros = torch.zeros(9, 1, 2, 2)
    for gamma in (1.0, 2.0):
        weight = objective(p2_gamma=gamma).corrupt(zeros, zeros, time).weight
        torch.testing.assert_close(weight, (1 - abar) ** gamma)
    assert objective(p2_gamma=0.0).corrupt(zeros, zeros, time).weight is None


def test_p2_weighs_each_sample_of_the_loss():
    """Loss of a batch: the mean over samples of weight times mean squared error."""
    ours = objective()
    x0, noise, time = torch.randn(3, 4, 2, 2), torch.randn(3, 4, 2, 2), torch.tensor([0.2, 0.5, 1])
    corrupted = ours.corrupt(x0, noise, time)
    prediction = torch.randn(3, 4, 2, 2)
    each = (prediction - noise).square().flatten(1).mean(1)
    expected = (each * (1 - CosineSchedule().alpha_bar(time))).mean()
    torch.testing.assert_close(ours.loss(prediction, corrupted), expected)


def test_min_snr_takes_the_place_of_p2():
    """min(SNR, gamma) / SNR where it is asked for, and no P2 beside it."""
    time = torch.tensor([0.05, 0.4, 0.9])
    zeros = torch.zeros(3, 1, 2, 2)
    abar = CosineSchedule().alpha_bar(time)
    ratio = abar / (1 - abar)
    weight = objective(snr=SnrConfig(gamma=5.0)).corrupt(zeros, zeros, time).weight
    torch.testing.assert_close(weight, ratio.clamp(max=5.0) / ratio)
    assert not torch.allclose(weight, p2_weight(ratio, 1.0))


def test_times_are_uniform_above_their_least():
    """4000 draws: Kolmogorov-Smirnov distance to U(0, 1] below the 1 % bound, none below 0.001."""
    count = 4000
    latents = torch.zeros(count, 1, 1, 1)
    times = objective().draw(latents, 7, list(range(count)), [0] * count).time.sort().values
    assert times[0] >= EARLIEST
    assert times[-1] <= 1.0
    steps = torch.arange(1, count + 1) / count
    assert (times - steps).abs().max() < 1.63 / math.sqrt(count)


def test_draws_follow_seed_sample_and_visit_alone():
    """The same sample and visit draw the same in any batch, and another visit draws anew."""
    latents = torch.zeros(2, 4, 3, 3)
    first = objective().draw(latents, 1, [5, 6], [0, 0])
    turned = objective().draw(latents, 1, [6, 5], [0, 0])
    assert torch.equal(first.time, turned.time.flip(0))
    assert torch.equal(first.noise, turned.noise.flip(0))
    again = objective().draw(latents, 1, [5, 6], [1, 0])
    assert again.time[0] != first.time[0]
    assert again.time[1] == first.time[1]


def test_huber_narrows_towards_noise():
    """The scheduled width is 1 at a clean input and c at pure noise, as on other schedules."""
    ours = objective(kind="huber", huber=HuberConfig(c=0.1, schedule="snr"))
    zeros = torch.zeros(2, 1, 2, 2)
    width = ours.corrupt(zeros, zeros, torch.tensor([1e-3, 1.0])).width
    assert width is not None
    assert width[0] > 0.95
    assert width[1] < 0.11
