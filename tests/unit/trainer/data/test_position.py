"""The sampler's state: what an old checkpoint holds, and samples that changed in between."""

from __future__ import annotations

import json
from hashlib import blake2b

import pytest

from trainer.data.course import Pool
from trainer.data.part import Part
from trainer.data.sampler import Sampler
from trainer.errors import DataError


def pools(leftover="carry") -> list[Pool]:
    sizes = [(0, "a:64x64", 13, 2), (0, "a:128x64", 5, 2), (1, "b:64x64", 7, 1)]
    sizes += [(2, "c:64x128", 29, 3), (2, "c:64x64", 2, 3)]
    return [Pool(*size, leftover) for size in sizes]


def digest(draws) -> str:
    text = repr([(d.epoch, d.pool, d.rows, d.visits) for d in draws])
    return blake2b(text.encode(), digest_size=8).hexdigest()


# Written down when the sampler knew one batch size and one mix; runs of that time still resume.
ORDERS = {
    ("carry", 1): (408, "3d6a54e6bd894386"),
    ("carry", 3): (136, "48cf5395d0946d1a"),
    ("carry", 4): (100, "6914a31870b14018"),
    ("drop", 3): (132, "066877f378d46806"),
    ("drop", 4): (93, "83b7c414f9da647d"),
    ("pad", 3): (141, "987c8203965cff92"),
    ("pad", 4): (108, "1443d269d927261a"),
}
CHANGING_RANKS = {
    "carry": "1d55c823d4c89654",
    "drop": "dce7f57fb15adce3",
    "pad": "c8f6040a2c33b2fb",
}


@pytest.mark.parametrize(("leftover", "size"), ORDERS)
def test_the_order_of_old_runs_is_unchanged(leftover, size):
    """Three epochs, sample by sample."""
    sampler = Sampler(pools(leftover), seed=11, batch_size=size)
    total = sampler.micro_steps_until(3)
    assert (total, digest(map(sampler.draw, range(total)))) == ORDERS[leftover, size]


@pytest.mark.parametrize("leftover", CHANGING_RANKS)
def test_the_order_of_old_runs_is_unchanged_after_a_change_of_ranks(leftover):
    """From the states of today, and from the segments that checkpoints kept first."""
    state, segments, step, drawn = None, [], 0, []
    for world, count in ((1, 17), (2, 9), (3, 5), (1, 20)):
        more = {"seed": 5, "batch_size": 2, "world": world}
        sampler = Sampler(pools(leftover), **more, state=state)
        old = Sampler(pools(leftover), **more, state={"segments": segments})
        draws = [sampler.draw(t) for t in range(step, step + count)]
        assert draws == [old.draw(t) for t in range(step, step + count)]
        segments, step, drawn = [*segments, [2 * world, count]], step + count, drawn + draws
        state = json.loads(json.dumps(sampler.state(step)))
        assert old.state(step) == sampler.state(step)
        going_on = Sampler(pools(leftover), **more, state={"segments": segments})
        assert going_on.draw(step) == sampler.draw(step)
    assert digest(drawn) == CHANGING_RANKS[leftover]


def test_equal_global_batches_are_no_change():
    """Two ranks with four samples go on as four ranks with two, also by dataset."""
    fours, twos = {1: Part(batch_size=1)}, {1: Part(batch_size=2)}
    four = Sampler(pools(), seed=1, batch_size=2, world=4, parts=fours)
    two = Sampler(pools(), seed=1, batch_size=4, world=2, parts=twos, state=four.state(9))
    assert [two.draw(t) for t in range(9, 30)] == [four.draw(t) for t in range(9, 30)]


def test_the_state_is_small():
    """Numbers per pool, however many samples there are."""
    many = [Pool(0, f"photos:{640 + 64 * n}x640", 10**6) for n in range(12)]
    state = Sampler(many, seed=0, batch_size=4).state(0)
    assert len(json.dumps(state)) < 2000


@pytest.mark.parametrize("mix", ["epoch", "stream"])
def test_new_samples_and_buckets_join_at_the_same_epoch(mix):
    """When the user allows another dataset, a grown bucket keeps its share, a new one starts."""
    before = Sampler([Pool(0, "a", 100)], seed=0, batch_size=1, mix=mix)
    grown = [Pool(0, "a", 200), Pool(0, "a:new", 40), Pool(1, "b", 10)]
    after = Sampler(grown, seed=0, batch_size=1, mix=mix, state=before.state(125))
    state = after.state(125)
    new = [1, 1] if mix == "epoch" else [0, 0]
    assert state["streams"] == {
        "a": [250, 1, 200],
        "a:new": [40, 1, 40],
        "b": [10 * new[0], new[1], 10],
    }
    assert state["epoch"] == after.draw(125).epoch == 1


def test_the_other_mix_is_refused():
    """Its epochs mean something else."""
    state = Sampler(pools(), seed=0, batch_size=2).state(5)
    with pytest.raises(DataError) as error:
        Sampler(pools(), seed=0, batch_size=2, mix="stream", state=state)
    assert error.value.finding.code == "DAT062"
