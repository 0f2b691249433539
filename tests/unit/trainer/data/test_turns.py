"""Datasets get their turns in exact proportion, and any turn is found without counting up to it."""

from __future__ import annotations

import time
from collections import Counter
from fractions import Fraction

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from trainer.data.turns import LONGEST, Rota, Turns, whole_shares

hundredths = st.integers(1, 900).map(lambda n: n / 100)
weights = st.lists(st.one_of(st.integers(1, 9).map(float), hundredths), min_size=1, max_size=8)
fast = settings(max_examples=60, deadline=None)


@fast
@given(weights, st.integers(0, 400))
@example([0.5] + [0.01] * 50, 400)  # spreading each member evenly by itself is 12 draws off here
@example([8.0, 4.0, 4.0, 2.0, 1.0, 1.0], 60)
def test_every_prefix_is_in_proportion(weights, slots):
    """After n slots each member has had n w / P of them, give or take less than one."""
    rota, exact = Rota(weights), [Fraction(str(w)) for w in weights]
    counts = Counter[int]()
    for slot in range(slots):
        counts[rota.at(slot)[0]] += 1
        for member, weight in enumerate(exact):
            assert abs(counts[member] - (slot + 1) * weight / sum(exact)) < 1


@fast
@given(weights, st.data())
def test_a_slot_is_found_directly(weights, data):
    """Counts, their inverse and the member agree with a walk from the start, across periods."""
    walked = Rota(weights)
    slots = data.draw(st.integers(1, min(3 * walked.period, 500)))
    order = [walked.at(slot) for slot in range(slots)]
    rota = Rota(weights)
    slot = data.draw(st.integers(0, slots - 1))
    member, before = order[slot]
    assert Rota(weights).at(slot) == (member, before)
    assert before == rota.count(member, slot) == sum(m == member for m, _ in order[:slot])
    assert Rota(weights).slots_until(member, before + 1) == slot + 1
    assert rota.slots_until(member, 0) == 0


def test_far_slots_are_arithmetic():
    """Slot 10^15 costs one period, not 10^15 steps; the counts there are exact."""
    rota = Rota([1, 0.333, 0.0721])
    started = time.process_time()
    total = sum(rota.count(member, 10**15) for member in range(3))
    member, before = rota.at(10**15)
    assert total == 10**15
    assert rota.slots_until(member, before + 1) == 10**15 + 1
    assert time.process_time() - started < 2


@pytest.mark.parametrize(
    ("weights", "shares"),
    [([1.0], (1,)), ([2.0, 4.0], (1, 2)), ([0.1, 0.3], (1, 3)), ([0.7, 0.25, 1.0], (14, 5, 20))],
)
def test_weights_are_taken_as_written(weights, shares):
    """0.1 and 0.3 are one to three, whatever their binary fractions are."""
    assert whole_shares(weights) == shares


@fast
@given(st.lists(st.floats(1e-7, 1e7), min_size=2, max_size=6))
def test_odd_weights_are_rounded_to_a_bounded_period(weights):
    """The table never exceeds the limit by more than the members; nobody is left out."""
    shares = whole_shares(weights)
    assert sum(shares) <= LONGEST + len(weights)
    assert min(shares) >= 1
    for share, weight in zip(shares, weights, strict=True):
        assert abs(share / sum(shares) - weight / sum(weights)) <= 2 * len(weights) / LONGEST


def test_groups_take_turns_one_by_one():
    """Positive, negative, neutral, positive, …; inside a group the weights hold."""
    turns = Turns([[(4, 1.0)], [(7, 3.0), (2, 1.0)], [(5, 1.0)]])
    order = [turns.at(slot) for slot in range(24)]
    assert [dataset for dataset, _ in order[0::3]] == [4] * 8
    assert Counter(dataset for dataset, _ in order[1::3]) == {7: 6, 2: 2}
    assert [dataset for dataset, _ in order[2::3]] == [5] * 8
    for slot, (dataset, before) in enumerate(order):
        drawn = Counter(name for name, _ in order[:slot])
        assert all(turns.count(name, slot) == drawn[name] for name in (2, 4, 5, 7))
        assert before == drawn[dataset]
        assert turns.slots_until(dataset, before + 1) == slot + 1
    assert turns.slots_until(2, 0) == 0
