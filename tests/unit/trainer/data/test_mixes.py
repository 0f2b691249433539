"""Both mixes with datasets of different batch sizes: exact resume, nothing lost, nothing twice."""

from __future__ import annotations

import json
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.trainer.data.mixtures import Mixture, assert_no_gap, entries, fast, mixtures
from trainer.data.course import Pool
from trainer.data.part import Part


@fast
@given(mixtures(), st.data())
def test_a_resumed_run_equals_one_in_a_go(mixture, data):
    """From a state written and read as JSON at any micro-step, in either mix."""
    whole = mixture.sampler()
    expected = [whole.draw(t) for t in range(30)]
    cut = data.draw(st.integers(0, 30))
    state = json.loads(json.dumps(mixture.sampler().state(cut)))
    resumed = mixture.sampler(state=state)
    assert [resumed.draw(t) for t in range(cut, 30)] == expected[cut:]
    assert resumed.state(30) == whole.state(30)


@fast
@given(mixtures())
def test_a_position_needs_no_past(mixture):
    """Draws and epochs are the same forwards and backwards."""
    forward, backward = mixture.sampler(), mixture.sampler()
    ahead = {t: (forward.draw(t), forward.epoch_of(t)) for t in range(30)}
    assert {t: (backward.draw(t), backward.epoch_of(t)) for t in reversed(range(30))} == ahead
    assert all(draw.epoch == epoch for draw, epoch in ahead.values())


@fast
@given(mixtures(leftover=("carry", "merge")), st.data())
def test_any_chain_of_changes_loses_nothing(mixture, data):
    """Ranks, batch size, accumulation and weights change at any time: streams have no gap."""
    seen, state, step = [], None, 0
    for _ in range(4):
        world = data.draw(st.integers(1, 3))
        changed = {
            d: Part(batch_size=part.batch_size, weight=data.draw(st.sampled_from([1.0, 2.5])))
            for d, part in mixture.parts.items()
        }
        sampler = mixture.sampler(
            parts=changed,
            batch_size=data.draw(st.integers(1, 4)),
            accumulate=data.draw(st.integers(1, 3)),
            world=world,
            state=state,
        )
        for _ in range(data.draw(st.integers(0, 9))):
            draw = sampler.draw(step)
            shares = [draw.share(rank, world) for rank in range(world)]
            assert len({len(share.rows) for share in shares}) == 1
            assert entries(shares) == entries([draw])
            seen += entries([draw])
            step += 1
        state = sampler.state(step)
    pools = mixture.pools
    if mixture.mix == "stream":
        pools = [Pool(p.dataset, p.name, p.rows) for p in pools]
    assert_no_gap(seen, pools)


@fast
@given(mixtures(mix=("epoch",), leftover=("carry",)), st.data())
def test_ranks_share_the_epoch_of_a_single_one(mixture, data):
    """1 -> 2 -> 1 ranks within an epoch: it holds the same samples and visits as on one rank.

    With buckets of whole batches; two ranks that end the epoch may carry one of theirs over.
    """
    whole = [Pool(p.dataset, p.name, 12 * p.rows, p.repeats) for p in mixture.pools]
    mixture = Mixture(whole, mixture.parts, "epoch", mixture.seed)
    alone = mixture.sampler()
    end = alone.micro_steps_until(1)
    expected = Counter(entries(map(alone.draw, range(end))))
    first = data.draw(st.integers(0, end))
    seen = Counter(entries(map(alone.draw, range(first))))
    pair = mixture.sampler(world=2, state=alone.state(first))
    second = data.draw(st.integers(first, max(first, pair.micro_steps_until(1) - 1)))
    seen += Counter(entries(map(pair.draw, range(first, second))))
    last = mixture.sampler(state=pair.state(second))
    seen += Counter(entries(map(last.draw, range(second, last.micro_steps_until(1)))))
    assert seen == expected


@fast
@given(mixtures())
def test_each_dataset_has_its_batch_size(mixture):
    """On two ranks twice that many samples a draw, all of one pool."""
    sampler = mixture.sampler(world=2)
    for t in range(20):
        draw = sampler.draw(t)
        part = mixture.parts[mixture.pools[draw.pool].dataset]
        assert len(draw.rows) == 2 * (part.batch_size or 2)


@fast
@given(mixtures(mix=("epoch",), leftover=("carry",)))
def test_epochs_of_unequal_batches_are_whole(mixture):
    """Over six epochs (all leftovers used up) each sample is drawn six times its repeats."""
    sampler = mixture.sampler()
    draws = map(sampler.draw, range(sampler.micro_steps_until(6)))
    drawn = Counter((p, r) for p, r, _ in entries(draws))
    for number, pool in enumerate(mixture.pools):
        assert all(drawn[number, row] == 6 * pool.repeats for row in range(pool.rows))


def test_large_and_small_batches_end_together():
    """30 samples one by one and 30 in tens: every eleventh batch or so is a large one."""
    mixture = Mixture([Pool(0, "a", 30), Pool(1, "b", 30)], {1: Part(batch_size=10)})
    sampler = mixture.sampler(batch_size=1)
    assert [t for t in range(33) if sampler.draw(t).pool == 1] == [5, 16, 27]
    assert sampler.micro_steps_until(1) == 33


# --- stream ----------------------------------------------------------------------------------


@fast
@given(mixtures(mix=("stream",)))
def test_streams_follow_their_weights(mixture):
    """After n batches every dataset has had its share of them within one."""
    able = {
        p.dataset
        for p in mixture.pools
        if p.leftover != "drop" or p.rows >= (mixture.parts[p.dataset].batch_size or 2)
    }
    weights = {d: mixture.parts[d].weight for d in able}
    sampler, counts = mixture.sampler(), Counter()
    for t in range(60):
        counts[mixture.pools[sampler.draw(t).pool].dataset] += 1
        for dataset, weight in weights.items():
            share = (t + 1) * weight / sum(weights.values())
            assert abs(counts[dataset] - share) < 1 + 1e-9
    assert counts.keys() <= able


@fast
@given(mixtures(mix=("stream",)), st.integers(1, 4))
def test_epochs_of_streams_are_rounds_of_the_first_dataset(mixture, epochs):
    """The epoch grows exactly where `micro_steps_until` says, and that is after a round."""
    sampler = mixture.sampler()
    end = sampler.micro_steps_until(epochs)
    assert sampler.epoch_of(end) >= epochs
    if end:
        assert sampler.epoch_of(end - 1) < epochs
        assert mixture.pools[sampler.draw(end - 1).pool].dataset == 0


def test_a_prior_dataset_is_drawn_but_makes_no_epochs():
    """The first dataset that is trained on does, and repeats do not count."""
    pools = [Pool(0, "prior", 50, repeats=9), Pool(1, "train", 10, repeats=3)]
    sampler = Mixture(pools, {0: Part(role="prior")}, "stream").sampler(batch_size=1)
    assert sampler.micro_steps_until(1) == 20
    drawn = Counter((p, r) for p, r, _ in entries(map(sampler.draw, range(20))))
    assert drawn == Counter([(1, r) for r in range(10)] + [key for key in drawn if key[0] == 0])
    assert sum(p == 0 for p, _ in drawn) == 10


# --- sliders ---------------------------------------------------------------------------------

SIDES = {0: Part(slider=-1.0), 1: Part(slider=2.0), 2: Part(slider=1.0), 3: Part()}


@pytest.mark.parametrize("mix", ["epoch", "stream"])
def test_sides_of_a_slider_take_turns(mix):
    """Positive, negative, neutral: strictly, when the sides are equally large."""
    pools = [Pool(0, "less", 8), Pool(1, "more", 5), Pool(2, "more-2", 3), Pool(3, "plain", 8)]
    sampler = Mixture(pools, SIDES, mix).sampler(batch_size=1)
    drawn = [sampler.draw(t).pool for t in range(24)]
    assert all(pool in (1, 2) for pool in drawn[0::3])
    assert drawn[1::3] == [0] * 8
    assert drawn[2::3] == [3] * 8
    assert Counter(drawn[0::3]) == ({1: 5, 2: 3} if mix == "epoch" else {1: 4, 2: 4})


def test_unequal_sides_are_spread_over_the_epoch():
    """All samples are trained on; the smaller side is never crowded at one end."""
    pools = [Pool(0, "less", 10), Pool(1, "more", 20)]
    sampler = Mixture(pools, {0: SIDES[0], 1: SIDES[1]}).sampler(batch_size=1)
    drawn = [sampler.draw(t).pool for t in range(30)]
    assert all(sum(pool == 0 for pool in drawn[i : i + 3]) == 1 for i in range(0, 30, 3))
