"""The mathematics of noise and loss: closed forms, identities, end points."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from trainer.catalog.facts import Prediction
from trainer.config.schema.loss import HuberConfig, LossConfig, SnrConfig
from trainer.config.schema.noise import NoiseConfig
from trainer.objective import ddpm, flow, losses
from trainer.objective.compose import DiscreteObjective, FlowObjective
from trainer.rng import stream_seed


def flow_objective(
    loss: LossConfig | None = None, *, warp=None, rule=None, **noise
) -> FlowObjective:
    config = NoiseConfig(**noise)
    return FlowObjective(
        config,
        loss or LossConfig(),
        sampling=config.sampling or "sigmoid",
        shift=config.shift,
        patch=2,
        scheduler={},
        warp=warp,
        rule=rule,
    )


def discrete(prediction: Prediction, loss: LossConfig | None = None) -> DiscreteObjective:
    abar = torch.linspace(0.999, 0.01, 1000)
    return DiscreteObjective(loss or LossConfig(), prediction=prediction, abar=abar)


@pytest.mark.parametrize("kind", ["l2", "huber", "smooth_l1"])
@pytest.mark.parametrize("which", ["flow", "epsilon", "v"])
def test_the_right_answer_costs_nothing(kind, which):
    """A model that returns the exact target has loss 0 for each type of prediction."""
    loss = LossConfig(kind=kind)
    objective = {
        "flow": lambda: flow_objective(loss),
        "epsilon": lambda: discrete(Prediction.EPSILON, loss),
        "v": lambda: discrete(Prediction.V, loss),
    }[which]()
    x0 = torch.randn(3, 4, 8, 8)
    draw = objective.draw(x0, 1, [1, 2, 3], [0, 0, 0])
    corrupted = objective.corrupt(x0, draw.noise, draw.time)
    assert objective.loss(corrupted.target, corrupted).item() == 0.0
    assert objective.loss(corrupted.target + 1.0, corrupted).item() > 0.0


def test_v_and_epsilon_say_the_same():
    """Epsilon from v and x_t, and back, is the identity."""
    objective = discrete(Prediction.V)
    x0, eps, time = torch.randn(4, 2, 3, 3), torch.randn(4, 2, 3, 3), torch.tensor([0, 9, 500, 999])
    c = objective.corrupt(x0, eps, time)
    signal, sigma = ddpm.coefficients(objective.abar, time, 4)
    torch.testing.assert_close(signal * c.target + sigma * c.noisy, eps, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(signal * c.noisy - sigma * c.target, x0, atol=1e-5, rtol=1e-4)


def test_min_snr_is_the_same_loss_in_both_forms():
    """The epsilon form and the v form of min-SNR weigh the same network alike."""
    loss = LossConfig(snr=SnrConfig(gamma=5.0))
    eps_objective, v_objective = discrete(Prediction.EPSILON, loss), discrete(Prediction.V, loss)
    x0, eps = torch.randn(4, 2, 8, 8), torch.randn(4, 2, 8, 8)
    time = torch.tensor([10, 300, 600, 950])
    guess = eps + 0.1 * torch.randn_like(eps)
    a, b = eps_objective.corrupt(x0, eps, time), v_objective.corrupt(x0, eps, time)
    signal, sigma = ddpm.coefficients(v_objective.abar, time, 4)
    x0_guess = (a.noisy - sigma * guess) / signal
    v_guess = signal * guess - sigma * x0_guess
    ratio = eps_objective.loss(guess, a) / v_objective.loss(v_guess, b)
    assert ratio.item() == pytest.approx(1.0, abs=1e-4)


def test_zero_terminal_snr():
    """The last step carries no signal at all, the first is unchanged, v weights stay finite."""
    abar = torch.linspace(0.999, 0.005, 1000)
    scaled = ddpm.zero_terminal_snr(abar)
    assert scaled[-1].item() == 0.0
    assert scaled[0].item() == pytest.approx(abar[0].item())
    weight = ddpm.min_snr_weight(ddpm.snr(scaled, torch.tensor([999])), 5.0, v_prediction=True)
    assert torch.isfinite(weight).all()


@given(st.floats(0.01, 20), st.floats(1e-4, 1.0))
def test_shift_fixes_the_ends_and_is_undone_by_its_inverse(factor, sigma):
    """shift(k) then shift(1/k) is the identity; 0 and 1 stay."""
    assert flow.shift_sigma(flow.shift_sigma(sigma, factor), 1 / factor) == pytest.approx(
        sigma, rel=1e-6
    )
    assert flow.shift_sigma(1.0, factor) == pytest.approx(1.0)
    assert flow.shift_sigma(0.0, factor) == 0.0


@given(st.floats(1e-6, 1.0))
def test_the_warp_leaves_out_the_middle(sigma):
    """Squares from both ends: monotonic, 0 and 1 stay, and so does the symmetry around a half."""
    warped = flow.WARPS["ends"](sigma)
    assert warped == pytest.approx(sigma * sigma if sigma < 0.5 else 1 - (1 - sigma) * (1 - sigma))
    assert warped < 0.25 or warped >= 0.75
    assert flow.WARPS["ends"](0.0) == 0.0
    assert flow.WARPS["ends"](1.0) == 1.0
    if 0.5 < sigma < 1.0:
        assert flow.WARPS["ends"](1.0 - sigma) == pytest.approx(1.0 - warped)


def test_the_warp_is_last_and_of_the_sigmoid_density_alone():
    """It acts on the shifted sigma; a density that was chosen instead is left as it is."""
    x0 = torch.zeros(32, 4, 8, 8)
    ids, visits = list(range(32)), [0] * 32

    def times(warp: str | None, **noise) -> list[float]:
        objective = flow_objective(warp=warp, **noise)
        return objective.draw(x0, 1, ids, visits).time.tolist()

    plain = times(None, shift=3.0)
    assert times("ends", shift=3.0) == pytest.approx([flow.to_the_ends(s) for s in plain])
    for sampling in ("uniform", "beta"):
        assert times("ends", sampling=sampling) == times(None, sampling=sampling)


def test_a_rule_replaces_the_usual_automatic_shift():
    """A family's own factor by number of tokens counts; a fixed shift still wins."""
    rule = lambda tokens: float(tokens)  # noqa: E731
    assert flow_objective(rule=rule, shift="auto").factor(8, 16) == 32.0
    assert flow_objective(rule=rule, shift=2.0).factor(8, 16) == 2.0
    assert flow_objective(shift="auto").factor(8, 16) == flow.auto_shift(32)


def test_auto_shift_at_known_sizes():
    """4096 tokens: exp(1.15); 256 tokens: exp(0.5)."""
    assert flow.auto_shift(4096) == pytest.approx(math.exp(1.15))
    assert flow.auto_shift(256) == pytest.approx(math.exp(0.5))
    assert flow_objective(shift="auto").factor(128, 128) == pytest.approx(math.exp(1.15))


CDFS = {
    "uniform": lambda s: s,
    "beta": lambda s: s * s * (3 - 2 * s),
    "sigmoid": lambda s: 0.5 * (1 + math.erf(math.log(s / (1 - s)) / math.sqrt(2))),
}


@pytest.mark.parametrize("name", sorted(CDFS))
def test_densities_follow_their_closed_form(name):
    """Kolmogorov–Smirnov distance of 4000 keyed draws below the 1 % bound."""
    count = 4000
    density = flow.density(name, sigmoid_scale=1.0, alpha=2.0, beta_=2.0)
    seeds = [stream_seed(1, i, 0, "time") for i in range(count)]
    drawn = sorted(min(s, 1 - 1e-9) for s in flow.draw_sigmas(seeds, density, 1.0))
    cdf = CDFS[name]
    distance = max(abs(cdf(s) - (i + 0.5) / count) for i, s in enumerate(drawn))
    assert distance < 1.63 / math.sqrt(count)


@pytest.mark.parametrize("offset", [-2.0, 0.7])
def test_an_offset_moves_the_logit_of_every_time(offset):
    """logit(sigma) = scale * (z + offset): moved by scale * offset, draw by draw."""
    seeds = [stream_seed(1, i, 0, "time") for i in range(200)]
    density = flow.density("sigmoid", sigmoid_scale=1.5, alpha=2.0, beta_=2.0)
    plain = torch.tensor(flow.draw_sigmas(seeds, density, 1.0), dtype=torch.float64)
    moved = torch.tensor(flow.draw_sigmas(seeds, density, 1.0, offset), dtype=torch.float64)
    inside = moved > 2e-5  # the smallest time is kept off zero
    shift = (moved.logit() - plain.logit())[inside]
    torch.testing.assert_close(shift, torch.full_like(shift, 1.5 * offset), atol=1e-6, rtol=1e-6)


def test_an_absurd_offset_is_no_overflow():
    """Far beyond what exp can hold the ends are reached, as numbers."""
    density = flow.density("sigmoid", sigmoid_scale=1.0, alpha=2.0, beta_=2.0)
    assert flow.draw_sigmas([1], density, 1.0, -1e6) == [1e-5]
    assert flow.draw_sigmas([1], density, 1.0, 1e6) == [1.0]


@pytest.mark.parametrize("name", ["uniform", "beta"])
def test_other_densities_have_no_normal_draw_to_move(name):
    """The offset changes nothing there; lint refuses it."""
    density = flow.density(name, sigmoid_scale=1.0, alpha=2.0, beta_=2.0)
    assert flow.draw_sigmas([1, 2], density, 1.0, 3.0) == flow.draw_sigmas([1, 2], density, 1.0)


def test_huber_widths():
    """Clean: 1; pure noise: c; and a known value at c = 1."""
    ends = torch.tensor([0.0, 1.0])
    exponential = losses.huber_width("exponential", 0.1, ends, ends)
    torch.testing.assert_close(exponential, torch.tensor([1.0, 0.1]))
    snr = losses.huber_width("snr", 0.1, ends, torch.tensor([0.0, 1e9]))
    torch.testing.assert_close(snr, torch.tensor([1.0, 0.1]))
    one = losses.huber(torch.tensor(0.1), torch.tensor(1.0))
    assert one.item() == pytest.approx(0.00998, abs=1e-5)


def test_batch_loss_is_the_mean_of_its_samples():
    """Each sample counts once, whatever its width."""
    objective = flow_objective(LossConfig(kind="huber", huber=HuberConfig(c=0.2)))
    x0 = torch.randn(3, 4, 8, 8)
    draw = objective.draw(x0, 1, [1, 2, 3], [0, 0, 0])
    guess = torch.randn_like(x0)
    whole = objective.loss(guess, objective.corrupt(x0, draw.noise, draw.time))
    parts = [
        objective.loss(
            guess[i : i + 1],
            objective.corrupt(x0[i : i + 1], draw.noise[i : i + 1], draw.time[i : i + 1]),
        )
        for i in range(3)
    ]
    torch.testing.assert_close(whole, torch.stack(parts).mean())


def test_draws_belong_to_the_sample():
    """Noise and time depend on sample and visit alone, not on the batch around them."""
    objective = flow_objective()
    x0 = torch.zeros(2, 4, 8, 8)
    both = objective.draw(x0, 1, [7, 8], [3, 4])
    alone = objective.draw(x0[:1], 1, [8], [4])
    assert torch.equal(both.noise[1], alone.noise[0])
    assert both.time[1] == alone.time[0]
    again = objective.draw(x0[:1], 1, [8], [5])
    assert not torch.equal(alone.noise, again.noise)
    assert alone.time[0] != again.time[0]
