"""What was found complete needs no second look, until anything is taken away."""

from __future__ import annotations

import os
import time
from contextlib import closing
from pathlib import Path

import pytest

from tests.support import cached
from tests.support.cached import key, put, run_dir
from trainer.cache.gc import DAY_S, collect
from trainer.cache.references import all_references, keys_of
from trainer.cache.store import Store
from trainer.cache.tables import open_index, shard_path
from trainer.cache.verify import verify
from trainer.errors import DataError

DIGEST = b"samples and settings"


def store(root: Path, encoder: str = cached.ENCODER) -> Store:
    return Store(root, cached.KIND, encoder)


def damaged_read(root: Path, shard: int) -> None:
    path = shard_path(root, cached.KIND, cached.ENCODER, shard)
    path.write_bytes(path.read_bytes()[:-1] + b"\0\0")
    with closing(cached.objects(root)) as objects, pytest.raises(DataError):
        objects.read(key(9))


TAKEN_AWAY = {
    "dropped": lambda root, shard: cached.objects(root).drop([key(1)]),
    "found damaged by a reader": damaged_read,
    "found damaged by verify": lambda root, shard: (
        os.truncate(shard_path(root, cached.KIND, cached.ENCODER, shard), 100),
        verify(root, repair=True),
    ),
    "cleared": lambda root, shard: collect(root, quota=5000),
    "lost with its shard": lambda root, shard: shard_path(
        root, cached.KIND, cached.ENCODER, shard
    ).unlink(),
}


@pytest.mark.parametrize("how", TAKEN_AWAY)
def test_anything_taken_away_ends_it(tmp_path, how):
    """Whatever takes an entry away, the keys are asked for again at the next start."""
    shard = put(tmp_path, range(10), made=time.time() - 90 * DAY_S)
    with closing(store(tmp_path)) as first:
        first.cover(DIGEST, first.generation(), failed=[3, 5])
        assert first.covered(DIGEST) == [3, 5]
    TAKEN_AWAY[how](tmp_path, shard)
    with closing(store(tmp_path)) as again:
        assert again.covered(DIGEST) is None


def test_other_data_and_other_stores_are_not_covered(tmp_path):
    """A record speaks of one digest in one store; what happens elsewhere is no matter."""
    put(tmp_path, range(10))
    with closing(store(tmp_path)) as one, closing(store(tmp_path, "vae-2")) as two:
        one.cover(DIGEST, one.generation())
        assert one.covered(DIGEST) == []
        assert one.covered(DIGEST + b"!") is None
        assert two.covered(DIGEST) is None
        two.put_raw({key(77): cached.raw(77)}, {})
        two.drop([key(77)])
        put(tmp_path, range(10, 20))
        one.drop([key(99)])  # was not there
        assert one.covered(DIGEST) == []


def test_deletion_between_looking_and_noting_is_not_covered_up(tmp_path):
    """The generation is asked before what is missing: a deletion after that makes it stale."""
    put(tmp_path, range(10))
    with closing(store(tmp_path)) as objects:
        before = objects.generation()
        assert objects.missing([key(1)]) == []
        objects.drop([key(1)])
        objects.cover(DIGEST, before)
        assert objects.covered(DIGEST) is None


def test_rewriting_takes_nothing_away(tmp_path):
    """Moving entries between shards leaves what is covered covered; stale records go."""
    for number in range(20):
        put(tmp_path, [number])
    with closing(store(tmp_path)) as objects:
        objects.cover(b"old", objects.generation())
        objects.drop([key(0)])
        objects.cover(DIGEST, objects.generation())
        assert collect(tmp_path).shards_rewritten
        assert objects.covered(DIGEST) == []
        assert objects._db.execute("SELECT count(*) FROM covered").fetchone() == (1,)


# --- references ------------------------------------------------------------------------------


def test_reference_holds_the_keys(tmp_path):
    """Millions of keys are one row and one packed file."""
    run = run_dir(tmp_path, "one")
    with closing(cached.objects(tmp_path)) as objects:
        objects.reference(run, "a", map(key, range(10_000)))
        (reference,) = all_references(objects._db)
    assert (reference.run, reference.dataset) == (str(run), "a")
    assert list(keys_of(tmp_path, reference) or ()) == [key(n) for n in range(10_000)]
    assert sum(p.stat().st_size for p in (tmp_path / "refs").iterdir()) == 160_000


def test_known_digest_asks_for_no_key(tmp_path):
    """A second start with the same samples and settings notes its use without making keys."""

    def never():
        raise AssertionError("no key is needed")
        yield b""

    run = run_dir(tmp_path, "one")
    with closing(cached.objects(tmp_path)) as objects:
        objects.reference(run, "a", map(key, range(5)), DIGEST)
        objects.reference(run_dir(tmp_path, "two"), "b", never(), DIGEST)
        objects.reference(run, "a", never(), DIGEST)
        found = all_references(objects._db)
        assert [(Path(r.run).name, r.num_keys) for r in found] == [("two", 5), ("one", 5)]
        next((tmp_path / "refs").iterdir()).unlink()
        with pytest.raises(AssertionError, match="no key"):
            objects.reference(run, "a", never(), DIGEST)
        objects.reference(run, "a", map(key, range(5)), DIGEST)
        assert all(len(list(keys_of(tmp_path, r) or ())) == 5 for r in found)


def test_same_digest_in_another_store_is_another_list(tmp_path):
    """Text and latents of one dataset have other keys under the same digest."""
    with closing(cached.objects(tmp_path)) as one:
        one.reference(None, "a", [key(1)], DIGEST)
    with closing(cached.objects(tmp_path, "text", "t5")) as two:
        two.reference(None, "a", [key(2)], DIGEST)
    with closing(open_index(tmp_path)) as db:
        found = all_references(db)
    assert [list(keys_of(tmp_path, r) or ()) for r in found] == [[key(1)], [key(2)]]


def test_changed_data_replaces_the_reference(tmp_path):
    """A run refers to what it uses now, not to what it used before its data changed."""
    run = run_dir(tmp_path, "one")
    with closing(cached.objects(tmp_path)) as objects:
        objects.reference(run, "a", [key(1)])
        objects.reference(run, "a", [key(2), key(3)])
        assert [r.num_keys for r in all_references(objects._db)] == [2]
