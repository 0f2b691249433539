"""From a job's datasets to their parts, and through the loader to batches."""

from __future__ import annotations

import itertools

import pytest

from tests.support.fake_family import FakeFamily, job
from tests.support.pictures import make_folder
from trainer.data.course import Pool
from trainer.data.mixing import mix_remarks
from trainer.data.part import Active, Part, parts_of
from trainer.data.prepare import make_loader, make_sampler, prepare, steps_in_epochs
from trainer.errors import DataError


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp("mixing")
    make_folder(root / "a", 12, sizes=((64, 64), (128, 64)))
    make_folder(root / "b", 6, sizes=((64, 64), (64, 128)), seed=3)
    return root


def config_of(root, *, a=None, b=None, mix="epoch", **sections):
    one = {"id": "a", "path": str(root / "a")} | (a or {})
    two = {"id": "b", "path": str(root / "b")} | (b or {})
    return job(root, one, two, **{"data": {"mix": mix}} | sections)


def prepared(config):
    return prepare(config, FakeFamily(), on_event=quiet, should_stop=lambda: False)


def quiet(kind: str, **fields: object) -> None:
    pass


def batches(config, made, count, *, start=0, state=None):
    with make_loader(made, FakeFamily(), config, start, state) as loader:
        return list(itertools.islice(loader, count)), dict(loader.state())


def shown(batches):
    return [(b.dataset, b.sample_ids, b.visits) for b in batches]


def test_settings_of_a_dataset_reach_its_part(tmp_path):
    """By the dataset's number in the plan, which need not be that in the job."""
    active = {"from_step": 3, "to_epoch": 9}
    b = {"batch_size": 4, "weight": 0.5, "active": active, "slider": -1.0, "role": "prior"}
    parts = parts_of(config_of(tmp_path, b=b), ["b", "a"])
    assert parts == {
        0: Part(
            batch_size=4,
            weight=0.5,
            active=Active(from_step=3, to_epoch=9),
            slider=-1.0,
            role="prior",
        ),
        1: Part(),
    }


def test_who_stays_until_the_last_epoch_stays_for_the_last_step(root):
    """Eight micro-steps, three a step: the last step draws one of an epoch that nobody is in."""
    active = {"active": {"to_epoch": 1}}
    train = {"epochs": 1, "batch_size": 2, "accumulate": 3}
    config = config_of(root, a=active, b=active, train=train)
    made = prepared(config)
    assert steps_in_epochs(made, config, 1) == 3
    assert len(batches(config, made, 9)[0]) == 9


@pytest.mark.parametrize("workers", [1, 3])
def test_the_loader_follows_weights_and_batch_sizes(root, workers):
    """A batch of two, then two of three; resumed in the middle; any number of threads."""
    sizes = {"b": {"batch_size": 3, "weight": 2.0}, "mix": "stream"}
    config = config_of(root, **sizes)
    made = prepared(config)
    whole, _ = batches(config, made, 24)
    names = "".join(batch.dataset for batch in whole)
    assert all(names[i : i + 3].count("b") == 2 for i in range(0, 24, 3))
    assert {(b.dataset, len(b.latents)) for b in whole} == {("a", 2), ("b", 3)}
    threaded = config_of(root, **sizes | {"data": {"mix": "stream", "workers": workers}})
    first, state = batches(threaded, made, 11)
    rest, _ = batches(threaded, made, 13, start=11, state=state)
    assert shown(first + rest) == shown(whole)


def test_a_gap_ends_the_run_before_its_first_step(root):
    """One that only shows with the data: five steps of one dataset, then its third epoch."""
    a, b = {"active": {"to_step": 5}}, {"active": {"from_epoch": 3}}
    config = config_of(root, a=a, b=b, train={"steps": 50, "batch_size": 2})
    made = prepared(config)
    with pytest.raises(DataError) as error:
        make_sampler(made.plan_train, config)
    assert error.value.finding.code == "DAT060"


def test_steps_of_epochs_count_ranks_and_changes(root):
    """36 draws in twos are 18 steps; after five of them, fours and what is left over in fours."""
    config = config_of(root, train={"epochs": 2, "batch_size": 2})
    made = prepared(config)
    assert steps_in_epochs(made, config, 2) == 18
    state = make_sampler(made.plan_train, config).state(5)
    assert steps_in_epochs(made, config, 2, state) == 18
    steps = steps_in_epochs(made, config, 2, state, world=2)
    sampler = make_sampler(made.plan_train, config, state, world=2)
    assert [sampler.epoch_of(steps - 1), sampler.epoch_of(steps)] == [1, 2]


def test_uneven_sides_of_a_slider_are_told():
    """In mix epoch only, and only when a side has a batch more."""
    pools = [Pool(0, "less", 40), Pool(1, "more", 48, repeats=2), Pool(2, "even", 40)]
    parts = {0: Part(slider=-1.0), 1: Part(slider=1.0, batch_size=8), 2: Part(slider=1.0)}
    (found,) = mix_remarks(pools[:2], parts, "epoch", 4)
    assert (found.code, "positive 12, negative 10" in found.message) == ("DAT061", True)
    assert not mix_remarks(pools[:2], parts, "stream", 4)
    assert not mix_remarks([pools[0], pools[2]], parts, "epoch", 4)
    assert not mix_remarks(pools, {}, "epoch", 4)
