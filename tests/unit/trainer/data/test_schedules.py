"""Datasets that take part only for a time: exactly then, and exactly again after a resume."""

from __future__ import annotations

import json
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.trainer.data.mixtures import Mixture, entries, fast, mixtures
from trainer.data.course import Pool
from trainer.data.part import Active, Part
from trainer.errors import DataError


def spans(start: str, end: str) -> st.SearchStrategy[dict[str, int | None]]:
    ends = st.one_of(st.none(), st.integers(1, 12))
    return st.tuples(st.integers(0, 8), ends).map(
        lambda s: {start: s[0], end: None if s[1] is None else s[0] + s[1]}
    )


active = st.one_of(
    st.just(Active()),
    spans("from_step", "to_step").map(lambda s: Active(**s)),
    spans("from_epoch", "to_epoch").map(lambda s: Active(**s)),
)


@st.composite
def scheduled(draw, **more):
    """Like mixtures, with schedules; the first dataset is always there."""
    mixture = draw(mixtures(active=active, **more))
    first = mixture.parts[0]
    mixture.parts[0] = Part(batch_size=first.batch_size, weight=first.weight)
    return mixture


@fast
@given(scheduled(), st.integers(1, 3))
def test_only_active_datasets_are_drawn(mixture, accumulate):
    """At every optimiser step and epoch, also where a boundary lies within an epoch."""
    sampler = mixture.sampler(accumulate=accumulate)
    for t in range(40):
        draw = sampler.draw(t)
        part = mixture.parts[mixture.pools[draw.pool].dataset]
        assert part.active.at(t // accumulate, draw.epoch)


@fast
@given(scheduled(), st.integers(1, 3), st.data())
def test_schedules_resume_exactly(mixture, accumulate, data):
    """Before, at, and after boundaries; positions are reached in any order."""
    whole = mixture.sampler(accumulate=accumulate)
    expected = {t: whole.draw(t) for t in range(40)}
    cut = data.draw(st.integers(0, 40))
    backward = mixture.sampler(accumulate=accumulate)
    assert {t: backward.draw(t) for t in reversed(range(40))} == expected
    state = json.loads(json.dumps(backward.state(cut)))
    resumed = mixture.sampler(accumulate=accumulate, state=state)
    assert [resumed.draw(t) for t in range(cut, 40)] == [expected[t] for t in range(cut, 40)]


@fast
@given(scheduled(), st.data())
def test_no_sample_and_visit_twice_whatever_changes(mixture, data):
    """Schedules, ranks and batch sizes change at any time; each draw has its own noise."""
    seen, state, step = [], None, 0
    for _ in range(3):
        changed = mixture.parts | {1: Part(active=data.draw(active))}
        size, world = data.draw(st.integers(1, 3)), data.draw(st.integers(1, 2))
        sampler = mixture.sampler(parts=changed, batch_size=size, world=world, state=state)
        end = step + data.draw(st.integers(0, 12))
        seen += entries(sampler.draw(t) for t in range(step, end))
        step, state = end, sampler.state(end)
    assert len(seen) == len(set(seen))


@fast
@given(scheduled(mix=("epoch",), leftover=("pad",)))
def test_an_epoch_holds_those_that_are_active_in_it(mixture):
    """Datasets with schedules by epoch are complete in each of their epochs, and in no other."""
    by_epoch = {
        d: part
        for d, part in mixture.parts.items()
        if (part.active.from_step, part.active.to_step) == (0, None)
    }
    sampler = mixture.sampler()
    drawn = map(sampler.draw, range(sampler.micro_steps_until(12)))
    found = Counter((d.epoch, d.pool, row) for d in drawn for row in d.rows)
    for number, pool in enumerate(mixture.pools):
        if pool.dataset not in by_epoch:
            continue
        span = by_epoch[pool.dataset].active
        for epoch in range(12):
            counts = [found[epoch, number, row] for row in range(pool.rows)]
            assert min(counts) >= pool.repeats if span.at(0, epoch) else not any(counts)


def test_who_joins_within_an_epoch_brings_its_part_of_the_rest():
    """A quarter of the first epoch is over: three quarters of the newcomer's samples remain, and
    both end together; the next epoch has all of them."""
    pools = [Pool(0, "a", 40), Pool(1, "b", 20)]
    mixture = Mixture(pools, {1: Part(active=Active(from_step=10))})
    sampler = mixture.sampler(batch_size=1)
    assert [sampler.micro_steps_until(e) for e in (1, 2)] == [55, 115]
    order = [sampler.draw(t).pool for t in range(115)]
    assert order[:10] == [0] * 10
    assert Counter(order[10:55]) == {0: 30, 1: 15}
    assert Counter(order[55:]) == {0: 40, 1: 20}
    assert all(order[i : i + 3].count(1) == 1 for i in range(10, 115, 3))


def test_who_leaves_within_an_epoch_leaves_the_rest_of_it():
    """The others go on with what they have; nothing of the leaver is caught up later."""
    pools = [Pool(0, "a", 40), Pool(1, "b", 40)]
    sampler = Mixture(pools, {1: Part(active=Active(to_step=20))}).sampler(batch_size=1)
    order = [sampler.draw(t).pool for t in range(sampler.micro_steps_until(2))]
    assert Counter(order) == {0: 80, 1: 10}
    assert 1 not in order[20:]


def test_steps_are_optimiser_steps_also_when_accumulation_changes():
    """The dataset comes at step 6: 12 micro-steps of 4 + 2 x 4 or, with three a step, later."""
    pools = [Pool(0, "a", 500), Pool(1, "b", 500)]
    mixture = Mixture(pools, {1: Part(active=Active(from_step=6))})
    first = mixture.sampler(accumulate=2)
    second = mixture.sampler(accumulate=3, state=first.state(8))
    assert next(t for t in range(99) if first.draw(t).pool == 1) in (12, 13)
    assert next(t for t in range(8, 99) if second.draw(t).pool == 1) in (14, 15)
    assert second.state(14)["step"] == 6


def test_streams_of_a_newcomer_start_at_their_beginning():
    """In mix stream nothing passes unseen: the first round has every sample once."""
    pools = [Pool(0, "a", 40), Pool(1, "b", 8)]
    parts = {1: Part(active=Active(from_epoch=1))}
    sampler = Mixture(pools, parts, "stream").sampler(batch_size=1)
    drawn = [sampler.draw(t) for t in range(80)]
    assert {d.pool for d in drawn[:40]} == {0}
    own = [d for d in drawn if d.pool == 1][:8]
    assert sorted(d.rows[0] for d in own) == list(range(8))
    assert {d.visits[0] for d in own} == {0}


def test_who_comes_back_after_a_change_draws_nothing_again():
    """It had drawn more of the epoch than the others when it left: 4 of 10 against 9 of 30."""
    pools = [Pool(0, "a", 30), Pool(1, "b", 10)]
    away = Mixture(pools, {1: Part(batch_size=4, active=Active(to_step=10))})
    back = Mixture(pools, {1: Part(batch_size=4)})
    before = away.sampler(batch_size=1)
    after = back.sampler(batch_size=1, state=before.state(10))
    drawn = [before.draw(t) for t in range(10)] + [after.draw(t) for t in range(10, 60)]
    assert [d.pool for d in drawn[:10]].count(1) == 1
    assert len(entries(drawn)) == len(set(entries(drawn)))


def test_a_bucket_that_is_too_small_for_two_ranks_waits_for_one():
    """Unlike a resting dataset it keeps what it has: all is drawn when the batch fits again."""
    mixture = Mixture([Pool(0, "a", 40, leftover="drop"), Pool(0, "b", 3, leftover="drop")])
    two = mixture.sampler(batch_size=2, world=2)
    one = mixture.sampler(batch_size=1, state=two.state(6))
    drawn = [two.draw(t) for t in range(6)]
    drawn += [one.draw(t) for t in range(6, one.micro_steps_until(1))]
    assert Counter(p for p, _, _ in entries(drawn)) == {0: 40, 1: 3}


def test_an_epoch_without_a_batch_of_the_others_is_not_skipped():
    """Two samples in batches of four make one every other epoch; the epoch between is there."""
    pools = [Pool(0, "a", 2), Pool(1, "b", 8)]
    parts = {1: Part(active=Active(from_epoch=2, to_epoch=3))}
    sampler = Mixture(pools, parts).sampler(batch_size=4)
    drawn = [(d.epoch, d.pool) for d in map(sampler.draw, range(5))]
    assert drawn == [(1, 0), (2, 1), (2, 1), (3, 0), (5, 0)]


# --- what cannot be scheduled ----------------------------------------------------------------


@pytest.mark.parametrize("mix", ["epoch", "stream"])
def test_a_gap_is_told_where_it_begins(mix):
    """By `demand_steps` before the run, and by the draw that falls into it."""
    pools = [Pool(0, "a", 10), Pool(1, "b", 10)]
    parts = {0: Part(active=Active(to_step=5)), 1: Part(active=Active(from_step=8))}
    sampler = Mixture(pools, parts, mix).sampler()
    sampler.demand_steps(5)
    for late in (lambda: sampler.demand_steps(6), lambda: sampler.draw(5)):
        with pytest.raises(DataError) as error:
            late()
        assert error.value.finding.code == "DAT060"
        assert "step 5" in error.value.finding.message


def test_a_run_may_end_with_its_last_schedule():
    """The state after the last step exists although nobody would be drawn next."""
    sampler = Mixture([Pool(0, "a", 10)], {0: Part(active=Active(to_step=5))}).sampler()
    assert len(sampler.draw(4).rows) == 2
    assert sampler.state(5)["step"] == 5
    assert sampler.steps_until(1) == 5


def test_a_dataset_that_fills_no_batch_is_no_dataset():
    """Alone at a time, it leaves a gap; beside others it is passed over."""
    pools = [Pool(0, "a", 10), Pool(1, "b", 3, leftover="drop")]
    for mix in ("epoch", "stream"):
        sampler = Mixture(pools, mix=mix).sampler(batch_size=4)
        assert {sampler.draw(t).pool for t in range(20)} == {0}
    first = Mixture([Pool(0, "b", 3, leftover="drop"), Pool(1, "a", 10)], mix="stream")
    assert first.sampler(batch_size=4).micro_steps_until(2) == 5
    alone = Mixture(pools, {0: Part(active=Active(to_step=5))}).sampler(batch_size=4)
    with pytest.raises(DataError) as error:
        alone.demand_steps(20)
    assert error.value.finding.code == "DAT060"


def test_epochs_that_never_come_are_told():
    """Rounds of a dataset that has left."""
    pools = [Pool(0, "a", 10), Pool(1, "b", 10)]
    parts = {0: Part(active=Active(to_step=7))}
    sampler = Mixture(pools, parts, "stream").sampler(batch_size=1)
    assert sampler.epoch_of(100) == 0
    with pytest.raises(DataError) as error:
        sampler.micro_steps_until(1)
    assert error.value.finding.code == "DAT063"
