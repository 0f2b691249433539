"""Small buckets move to similar ones: never far, never for nothing, whatever the order."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tests.unit.trainer.data.mixtures import fast
from trainer.data.merge import KEPT, kept, merge_remark, merges

sides = st.integers(4, 24).map(lambda n: 64 * n)
buckets = st.dictionaries(st.tuples(sides, sides), st.integers(0, 12), max_size=10)


@fast
@given(buckets, st.integers(1, 8))
def test_who_moves_is_small_and_lands_in_a_full_bucket(counts, size):
    """Samples are conserved; a home stays where it is; each keeps enough of its pictures."""
    moved = merges(counts, size)
    held = dict(counts)
    for old, new in moved.items():
        assert 0 < counts[old] < size
        assert counts[new]
        assert kept(old, new) >= KEPT
        assert new not in moved
        held[new] += held.pop(old)
    assert all(held[new] >= size for new in moved.values())
    assert sum(held.values()) == sum(counts.values())


@fast
@given(buckets, st.integers(1, 8))
def test_nobody_near_a_full_bucket_is_left_behind(counts, size):
    """What stays small has no full bucket within reach."""
    moved = merges(counts, size)
    held = {b: n for b, n in counts.items() if n and b not in moved}
    for old, new in moved.items():
        held[new] += counts[old]
    small = [b for b, n in held.items() if n < size]
    full = [b for b, n in counts.items() if n >= size]
    assert not [(b, f) for b in small for f in full if kept(b, f) >= KEPT]


@fast
@given(st.permutations([((1024, 1024), 9), ((1088, 960), 1), ((1152, 896), 3), ((512, 2048), 2)]))
def test_the_order_of_buckets_does_not_matter(items):
    """The nearest full shape is taken; a far one keeps its own bucket."""
    assert merges(dict(items), 4) == {(1088, 960): (1024, 1024)}
    assert merges(dict(items), 3) == {(1088, 960): (1024, 1024)}
    assert merges(dict(items), 4, least=0.7) == {
        (1088, 960): (1024, 1024),
        (1152, 896): (1024, 1024),
    }


def test_small_buckets_fill_one_together():
    """Two and two make a batch of four; three would not, so nothing is cut for it."""
    counts = {(1024, 1024): 2, (1088, 960): 2}
    assert merges(counts, 4) == {(1024, 1024): (1088, 960)}
    assert merges(counts, 5) == {}


def test_a_group_moves_as_a_whole():
    """One joins another, and both go on to a third, unless that is too far for the first."""
    counts = {(960, 1024): 1, (1024, 1024): 1, (1088, 1024): 2}
    assert merges(counts, 4) == dict.fromkeys([(960, 1024), (1024, 1024)], (1088, 1024))
    assert merges(counts, 4, least=0.9) == dict.fromkeys([(960, 1024), (1088, 1024)], (1024, 1024))


def test_the_nearest_of_several_full_buckets_is_taken():
    """The one that keeps 94 % rather than the one that keeps 89 %."""
    counts = {(1024, 1024): 9, (1152, 1024): 1, (1152, 960): 4}
    assert merges(counts, 4) == {(1152, 1024): (1152, 960)}


def test_lengths_are_never_merged():
    """A video of 25 frames cannot be cut to one of 49 by cropping."""
    assert merges({(512, 512, 25): 1, (512, 512, 49): 9}, 4) == {}


def test_the_remark_counts_moved_and_waiting():
    """Nothing is said when every bucket is full."""
    counts = {(1024, 1024): 9, (1088, 960): 1, (512, 2048): 2}
    found = merge_remark("a", "photos", counts, merges(counts, 4), 4)
    assert found is not None
    assert (found.code, found.evidence) == ("DAT064", {"moved": 1, "waiting": 1})
    assert merge_remark("a", "photos", {(64, 64): 4}, {}, 4) is None
