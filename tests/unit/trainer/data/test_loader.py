"""The loader: same bytes for any number of threads, exact resume, errors where they belong."""

from __future__ import annotations

import itertools
import threading
from collections import Counter
from pathlib import Path

import pytest
import torch

from tests.support.fake_family import FakeFamily, job
from tests.support.pictures import make_folder
from trainer.cache.latents import item_key
from trainer.data.batch import Batch
from trainer.data.prepare import make_loader, prepare
from trainer.errors import DataError


def quiet(kind: str, **fields: object) -> None:
    pass


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    """Two datasets, three buckets, several captions."""
    root = tmp_path_factory.mktemp("loader")
    make_folder(root / "a", 9, sizes=((64, 64), (128, 64)))
    make_folder(root / "b", 5, sizes=((64, 64), (64, 128)), seed=3)
    return root


def config_of(root: Path, *, workers: int = 0, **data):
    defaults = {
        "resolution": "64px2",
        "caption": {"dropout": 0.3},
        "crop": {"position": "random"},
    }
    return job(
        root,
        {"id": "a", "path": str(root / "a"), "repeats": 2},
        {"id": "b", "path": str(root / "b")},
        data={"defaults": defaults, "workers": workers} | data,
    )


@pytest.fixture(scope="module")
def made(root):
    family = FakeFamily()
    return prepare(config_of(root), family, on_event=quiet, should_stop=lambda: False), family


def take(made, root, count: int, *, start: int = 0, workers: int = 0, **more) -> list[Batch]:
    prepared, family = made
    with make_loader(prepared, family, config_of(root, workers=workers), start, **more) as loader:
        return list(itertools.islice(loader, count))


def assert_same(one: list[Batch], two: list[Batch]) -> None:
    assert len(one) == len(two)
    for a, b in zip(one, two, strict=True):
        assert (a.sample_ids, a.visits, a.dataset) == (b.sample_ids, b.visits, b.dataset)
        assert torch.equal(a.latents, b.latents)
        assert torch.equal(a.sizes, b.sizes)
        assert a.text.keys() == b.text.keys()
        assert all(torch.equal(a.text[k], b.text[k]) for k in a.text)


@pytest.mark.parametrize("workers", [1, 4, 8])
def test_worker_count_changes_no_byte(made, root, workers):
    """Threads only prepare ahead."""
    assert_same(take(made, root, 40, workers=workers), take(made, root, 40))


@pytest.mark.parametrize("cut", [0, 1, 7, 11, 12, 23])
@pytest.mark.parametrize("workers", [0, 2])
def test_resume_continues_with_the_next_batch(made, root, cut, workers):
    """A loader from the saved state gives the batches that the old one had not handed out."""
    prepared, family = made
    config = config_of(root, workers=workers)
    with make_loader(prepared, family, config, 0) as loader:
        list(itertools.islice(loader, cut))
        state = dict(loader.state())
    assert state["micro_step"] == cut
    rest = take(made, root, 30 - cut, start=cut, workers=workers, state=state)
    assert_same(rest, take(made, root, 30)[cut:])


def test_batches_are_whole_and_of_one_bucket(made, root):
    """Latents, texts and sizes of a batch belong together and have one shape."""
    for batch in take(made, root, 24):
        assert batch.latents.shape[0] == len(batch.sample_ids) == batch.sizes.shape[0] == 2
        assert batch.sizes.dtype == torch.int64
        height, width = batch.sizes[0, 4:].tolist()
        assert batch.latents.shape[2:] == (height // 8, width // 8)
        assert (batch.sizes[:, 4:] == batch.sizes[0, 4:]).all()
        assert all(t.shape[0] == 2 for t in batch.text.values())


def test_an_epoch_shows_every_sample_its_repeats(made, root):
    """Over two epochs (leftovers used up): dataset a twice, b once per epoch."""
    prepared, family = made
    with make_loader(prepared, family, config_of(root), 0) as loader:
        total = loader.sampler.micro_steps_until(2)
        seen = Counter(
            (b.dataset, i) for b in itertools.islice(loader, total) for i in b.sample_ids
        )
    per_dataset = {d: {n for (name, _), n in seen.items() if name == d} for d in "ab"}
    assert per_dataset == {"a": {4}, "b": {2}}


def test_ranks_share_a_global_batch(made, root):
    """Two ranks get the halves of one global batch, of one shape."""
    ranks = [take(made, root, 10, rank=r, world=2) for r in range(2)]
    for one, two in zip(*ranks, strict=True):
        assert one.latents.shape == two.latents.shape
        pairs = [*zip(one.sample_ids, one.visits, strict=True)]
        pairs += zip(two.sample_ids, two.visits, strict=True)
        assert len(set(pairs)) == 4


def test_dropped_and_drawn_captions_reach_the_batch(made, root):
    """About three in ten texts are the empty caption's embedding."""
    prepared, family = made
    empty = prepared.reader(family).text_of("")["embeds"][0]
    rows = [row for batch in take(made, root, 100) for row in batch.text["embeds"][:, 0]]
    share = sum(torch.equal(row, empty) for row in rows) / len(rows)
    assert 0.2 < share < 0.4


@pytest.mark.parametrize("workers", [0, 2])
def test_damaged_cache_is_an_error_of_the_batch_that_needs_it(root, tmp_path, workers):
    """Batches before it are handed out; then DAT100 is raised in the consumer's thread."""
    config = config_of(root, workers=workers)
    config = config.model_copy(
        update={"cache": config.cache.model_copy(update={"root": str(tmp_path)})}
    )
    family = FakeFamily()
    prepared = prepare(config, family, on_event=quiet, should_stop=lambda: False)
    seen: set[int] = set()
    with make_loader(prepared, family, config, 0) as loader:
        for number, batch in enumerate(itertools.islice(loader, 30)):
            if number == 8:
                fresh = set(batch.sample_ids) - seen
                break
            seen |= set(batch.sample_ids)
    victim = next(i for i in prepared.plan_train.items() if i.sample_id in fresh)
    prepared.stores.latents.drop([item_key(victim, prepared.stores.latents.encoder)])
    with make_loader(prepared, family, config, 0) as loader:
        batches = iter(loader)
        assert len(list(itertools.islice(batches, 8))) == 8
        with pytest.raises(DataError) as error:
            next(batches)
    assert error.value.finding.code == "DAT100"


def test_close_ends_the_threads(made, root):
    """After the block no loader thread is left, even if batches were waiting."""
    take(made, root, 1, workers=3)
    assert not [t for t in threading.enumerate() if t.name.startswith("loader")]


def test_prefetch_is_bounded(made, root, monkeypatch):
    """Without a consumer no more than the agreed number of batches is prepared."""
    prepared, family = made
    with make_loader(prepared, family, config_of(root, workers=2), 0) as loader:
        calls: list[int] = []
        original = loader.make
        monkeypatch.setattr(loader, "make", lambda t: calls.append(t) or original(t))
        next(iter(loader))
        loader.close()
    assert len(calls) <= 6


def test_epoch_is_that_of_the_batch_handed_out(made, root):
    """Prefetching the next epoch does not advance the reported one."""
    prepared, family = made
    with make_loader(prepared, family, config_of(root, workers=2), 0) as loader:
        first = loader.sampler.micro_steps_until(1)
        batches = iter(loader)
        list(itertools.islice(batches, first))
        assert loader.epoch == 0
        next(batches)
        assert loader.epoch == 1
