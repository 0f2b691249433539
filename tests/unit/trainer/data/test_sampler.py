"""The sampler's promises, as properties over pools, batch sizes, ranks and stopping points."""

from __future__ import annotations

from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from trainer.data.course import Course, Lane, Pool
from trainer.data.sampler import Draw, Sampler


def _pools(leftover):
    sizes = st.lists(st.tuples(st.integers(0, 2), st.integers(1, 9)), min_size=1, max_size=5)
    return sizes.map(
        lambda found: [
            Pool(dataset, f"d{dataset}/b{i}", rows, repeats=dataset + 1, leftover=leftover)
            for i, (dataset, rows) in enumerate(found)
        ]
    )


carried = _pools("carry")
mixed = st.sampled_from(["carry", "pad"]).flatmap(_pools)
any_leftover = st.one_of(_pools("carry"), _pools("pad"))
batch_sizes = st.integers(1, 5)
seeds = st.integers(0, 2**31 - 1)
fast = settings(max_examples=60, deadline=None)


def _entries(draws):
    return [(d.pool, *entry) for d in draws for entry in zip(d.rows, d.visits, strict=True)]


@fast
@given(carried, batch_sizes, seeds)
def test_carry_draws_every_sample_exactly_its_repeats(pools, size, seed):
    """Over `size` epochs (when all leftovers are used up) each sample is drawn repeats x epochs."""
    sampler = Sampler(pools, seed=seed, batch_size=size)
    total = sampler.micro_steps_until(size)
    drawn = Counter((p, r) for p, r, _ in _entries(map(sampler.draw, range(total))))
    assert drawn == {
        (i, row): pool.repeats * size for i, pool in enumerate(pools) for row in range(pool.rows)
    }


@fast
@given(any_leftover, batch_sizes, seeds)
def test_no_sample_and_visit_twice(pools, size, seed):
    """A (sample, visit) pair names one draw: no two draws share their noise."""
    sampler = Sampler(pools, seed=seed, batch_size=size)
    seen = _entries(map(sampler.draw, range(sampler.micro_steps_until(3))))
    assert len(seen) == len(set(seen))


@fast
@given(_pools("drop"), seeds)
def test_drop_gives_whole_batches_of_each_epoch_only(pools, seed):
    """With drop an epoch has floor(n / size) batches of a pool, all different samples."""
    pools = [*pools, Pool(0, "large", 12, leftover="drop")]
    sampler = Sampler(pools, seed=seed, batch_size=4)
    drawn = [sampler.draw(t) for t in range(sampler.micro_steps_until(2))]
    for epoch in (0, 1):
        for i, pool in enumerate(pools):
            own = [d for d in drawn if d.epoch == epoch and d.pool == i]
            assert len(own) == pool.entries // 4
            entries = _entries(own)
            assert len(set(entries)) == len(entries)


@fast
@given(_pools("pad"), batch_sizes, seeds)
def test_pad_shows_all_samples_each_epoch(pools, size, seed):
    """With pad every epoch holds every sample, and only the filling is extra."""
    sampler = Sampler(pools, seed=seed, batch_size=size)
    drawn = [sampler.draw(t) for t in range(sampler.micro_steps_until(2))]
    for epoch in (0, 1):
        found = Counter((p, r) for p, r, _ in _entries(d for d in drawn if d.epoch == epoch))
        for i, pool in enumerate(pools):
            counts = [found[i, row] for row in range(pool.rows)]
            assert min(counts) >= pool.repeats
            assert sum(counts) == -(-pool.entries // size) * size


@fast
@given(any_leftover, batch_sizes, seeds, st.data())
def test_resume_at_any_point_equals_the_uninterrupted_order(pools, size, seed, data):
    """A sampler made from the saved state continues exactly where the old one stopped."""
    whole = Sampler(pools, seed=seed, batch_size=size)
    total = whole.micro_steps_until(3) or 1
    expected = [whole.draw(t) for t in range(total)]
    cut = data.draw(st.integers(0, total))
    state = Sampler(pools, seed=seed, batch_size=size).state(cut)
    resumed = Sampler(pools, seed=seed, batch_size=size, state=state)
    assert [resumed.draw(t) for t in range(state["micro_step"], total)] == expected[cut:]
    assert resumed.state(cut) == state


@fast
@given(any_leftover, batch_sizes, seeds)
def test_any_position_is_reached_directly(pools, size, seed):
    """Draws do not depend on which draws were made before."""
    forward = Sampler(pools, seed=seed, batch_size=size)
    backward = Sampler(pools, seed=seed, batch_size=size)
    total = forward.micro_steps_until(2)
    ahead = {t: forward.draw(t) for t in range(total)}
    assert {t: backward.draw(t) for t in reversed(range(total))} == ahead


@fast
@given(carried, seeds, st.integers(1, 3), st.data())
def test_changing_ranks_repeats_and_loses_nothing(pools, seed, size, data):
    """1 -> 2 -> 1 ranks: together they consume each pool's stream without gap or overlap."""
    seen: list[tuple[int, int, int]] = []
    state, step = None, 0
    for world in (1, 2, 1):
        sampler = Sampler(pools, seed=seed, batch_size=size, world=world, state=state)
        for _ in range(data.draw(st.integers(0, 12))):
            draw = sampler.draw(step)
            for rank in range(world):
                share = draw.share(rank, world)
                assert len(share.rows) == size
                seen.extend(_entries([share]))
            step += 1
        state = sampler.state(step)
    assert len(seen) == len(set(seen))
    for i, pool in enumerate(pools):
        _assert_prefix([(r, v) for p, r, v in seen if p == i], pool)


def _assert_prefix(drawn, pool):
    """Complete epochs come before any draw of the following epoch."""
    if not drawn:
        return
    epochs = Counter(visit // pool.repeats for _, visit in drawn)
    last = max(epochs)
    assert all(epochs[e] == pool.entries for e in range(last))


@fast
@given(_pools("pad"), seeds, st.data())
def test_changing_ranks_keeps_the_epoch_complete_with_padding(pools, seed, data):
    """Whoever pads: at the end of the epoch every sample was drawn its repeats."""
    first = Sampler(pools, seed=seed, batch_size=2)
    cut = data.draw(st.integers(0, first.micro_steps_until(1)))
    rest = Sampler(pools, seed=seed, batch_size=2, world=2, state=first.state(cut))
    draws = [first.draw(t) for t in range(cut)]
    draws += [rest.draw(t) for t in range(cut, rest.micro_steps_until(1))]
    found = Counter((p, r) for p, r, _ in _entries(draws))
    assert all(
        found[i, row] >= pool.repeats for i, pool in enumerate(pools) for row in range(pool.rows)
    )


def test_epochs_differ_and_seeds_differ():
    """Two epochs, and two seeds, have different orders."""
    pools = [Pool(0, "a", 32)]
    one, two = (Sampler(pools, seed=s, batch_size=4) for s in (1, 2))
    first = [one.draw(t).rows for t in range(8)]
    assert first != [one.draw(t).rows for t in range(8, 16)]
    assert first != [two.draw(t).rows for t in range(8)]


def test_datasets_are_interleaved_in_proportion_and_end_together():
    """A dataset a third as large has every fourth batch, up to the end of the epoch."""
    pools = [Pool(0, "large", 30), Pool(1, "small", 10)]
    sampler = Sampler(pools, seed=0, batch_size=1)
    order = [sampler.draw(t).pool for t in range(40)]
    assert all(sum(order[i : i + 4]) == 1 for i in range(0, 40, 4))


def test_order_is_frozen():
    """The order of a small set never changes: checkpoints of old runs rely on it."""
    sampler = Sampler([Pool(0, "a", 4), Pool(0, "b", 3, repeats=2)], seed=7, batch_size=2)
    draws = [sampler.draw(t) for t in range(4)]
    assert [d.pool for d in draws] == FROZEN_POOLS
    assert [d.rows for d in draws] == FROZEN_ROWS


def test_position_of_a_large_course_is_arithmetic():
    """Locating a far position touches no schedule of the epochs before it."""
    lanes = (Lane(0, Pool(0, "a", 1000), 16), Lane(1, Pool(1, "b", 7), 16))
    course = Course(lanes, seed=0)
    epoch, index = course.locate(10**9)
    assert course.total(epoch - 1) + index == 10**9
    assert not course._schedules


def test_share_splits_evenly():
    """Ranks get equal, disjoint parts in order."""
    draw = Draw(0, 0, (1, 2, 3, 4), (0, 0, 0, 0))
    assert [draw.share(r, 2).rows for r in range(2)] == [(1, 2), (3, 4)]


FROZEN_POOLS = [0, 1, 0, 1]
FROZEN_ROWS = [(3, 2), (0, 0), (1, 0), (2, 1)]
