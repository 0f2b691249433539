"""Room: disk and quota are looked at before anything is encoded, and while it is stored."""

from __future__ import annotations

import time
from collections import namedtuple
from contextlib import closing

import pytest
import torch

from tests.support import cached
from tests.support.cached import key, on_disk, put, run_dir, stored, use
from tests.support.fake_family import FakeFamily
from trainer.cache import build, estimate, room
from trainer.cache.estimate import Need, demand, latent_need, picture_shape, text_need
from trainer.cache.gc import DAY_S
from trainer.cache.kept import Kept
from trainer.cache.room import Room
from trainer.cache.store import Store
from trainer.cache.tensors import num_bytes
from trainer.cache.text import build_text
from trainer.errors import TrainerError

NOW = time.time()


def disk(monkeypatch, free: int) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(room.shutil, "disk_usage", lambda path: usage(free * 2, free, free))


def texts(root, count: int, *, quota: int | None = None, family: FakeFamily | None = None) -> bool:
    return build_text(
        [f"caption {n}" for n in range(count)],
        family or FakeFamily(),
        Store(root, "text", "text-1"),
        batch_size=2,
        on_progress=lambda done, total: None,
        should_stop=lambda: False,
        room=Room(root, quota),
    )


# --- estimate ------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["sample", "mean", "distribution"])
@pytest.mark.parametrize("dtype", ["fp32", "bf16"])
def test_latents_are_estimated_exactly(tmp_path, mode, dtype):
    """What is estimated is what is stored, within the room for headers."""
    shape = picture_shape((256, 128), 16, 8)
    assert shape == (16, 16, 32)
    mean = torch.zeros(shape)
    entry = Kept(mode, dtype).entry(mean, mean, b"k" * 16)
    need = latent_need([shape] * 10, mode=mode, dtype=dtype)
    assert need.entries == 10
    assert need.num_bytes == 10 * (num_bytes(entry) + estimate.ENTRY_BYTES)
    store = Store(tmp_path, "latents", "x")
    store.put({key(n): entry for n in range(10)}, {})
    assert 10 * num_bytes(entry) < on_disk(tmp_path) < need.num_bytes


def test_texts_are_estimated_from_what_is_stored(tmp_path):
    """From the shape of a short text at first, from the encoder's own entries later."""
    assert text_need(tmp_path, "text-1", 100, {"embeds": (7, 6)}).num_bytes == 100 * (168 + 400)
    texts(tmp_path, 20)
    later = text_need(tmp_path, "text-1", 100, {"embeds": (7, 6)})
    with closing(cached.objects(tmp_path, "text", "text-1")) as store:
        mean = estimate.average(store._db, "text", "text-1")
    assert mean is not None
    assert later.num_bytes == int(100 * (mean + 400))


def test_too_small_a_disk_is_refused_before_the_first_encode(tmp_path, monkeypatch):
    """All needs of a start are added up; the finding (DAT102) says what needs how much."""
    disk(monkeypatch, free=5_000_000)
    needs = [latent_need([(16, 64, 64)] * 15), Need("text", 10, 2_000_000)]
    for need in needs:
        demand(Room(tmp_path), [need])
    with pytest.raises(TrainerError) as error:
        demand(Room(tmp_path), needs)
    assert error.value.finding.code == "DAT102"
    assert "latents 0.00 GB, text 0.00 GB" in error.value.finding.message


def test_nothing_missing_needs_no_room(tmp_path, monkeypatch):
    """A warm start goes on a full disk."""
    disk(monkeypatch, free=0)
    demand(Room(tmp_path, 0), [latent_need([]), Need("text", 0, 0)])


# --- quota ---------------------------------------------------------------------------------------


def test_longest_unused_makes_way(tmp_path):
    """Entries that no resumable run needs go, the longest unused first, as many as needed."""
    for number in range(4):
        put(tmp_path, [number], size=1000, made=NOW - (10 - number) * DAY_S)
    run = run_dir(tmp_path, "one")
    use(tmp_path, run, [0], used=NOW - 50 * DAY_S)
    Room(tmp_path, 6000).demand(2500)
    assert stored(tmp_path) == {0, 3}


def test_quota_that_does_not_suffice_is_a_finding(tmp_path):
    """DAT104 with the runs that hold the room; what they use is untouched."""
    put(tmp_path, range(5), size=1000)
    run = run_dir(tmp_path, "one")
    use(tmp_path, run, range(5))
    with pytest.raises(TrainerError) as error:
        Room(tmp_path, 6000).demand(2500, "latents")
    problem = error.value.finding
    assert (problem.code, problem.where) == ("DAT104", "cache.max_gb")
    assert problem.evidence["runs"] == [str(run)]
    assert stored(tmp_path) == set(range(5))


def test_no_quota_clears_nothing(tmp_path):
    """Without cache.max_gb only the disk is the limit."""
    put(tmp_path, range(5), made=NOW - 900 * DAY_S)
    Room.of(tmp_path, None).demand(10_000)
    assert stored(tmp_path) == set(range(5))
    assert Room.of(tmp_path, 1.5).quota == 1_500_000_000


def test_quota_holds_while_it_is_built(tmp_path, monkeypatch):
    """An estimate that was too low does not matter: each shard asks again."""
    monkeypatch.setattr(build, "FLUSH_BYTES", 0)
    put(tmp_path, range(5), size=1000, made=NOW - 900 * DAY_S)
    assert texts(tmp_path, 12, quota=7500)
    left = set(cached_latents(tmp_path))
    assert left < set(range(5))
    assert on_disk(tmp_path) <= 7500


def cached_latents(root) -> list[int]:
    with closing(cached.objects(root)) as store:
        return [
            int.from_bytes(k, "big")
            for (k,) in store._db.execute(
                "SELECT b.key FROM blob b JOIN shard s ON s.id = b.shard WHERE s.kind = 'latents'"
            )
        ]


def test_quota_smaller_than_the_run_ends_it_early(tmp_path):
    """The first group tells that all will not fit, and nothing more is encoded."""
    family = FakeFamily()
    with pytest.raises(TrainerError) as error:
        texts(tmp_path, 100, quota=500, family=family)
    assert error.value.finding.code == "DAT104"
    assert len(family.captions) == 2
