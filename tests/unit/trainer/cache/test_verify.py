"""Verifying: any flipped byte is found, what is damaged can be dropped and encoded again."""

from __future__ import annotations

import random
import shutil
from contextlib import closing

import pytest

from tests.support import cached
from tests.support.cached import key, on_disk, put, raw, stored
from trainer.cache import origin
from trainer.cache.origin import Origin
from trainer.cache.shard import read_header
from trainer.cache.tables import open_index, shard_path
from trainer.cache.verify import verify
from trainer.errors import TrainerError


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    root = tmp_path_factory.mktemp("whole")
    put(root, range(5), size=40)
    return root


def test_whole_cache_has_no_finding(whole):
    """Everything is read and counted."""
    done = verify(whole)
    assert (done.entries, done.shards, done.damaged, done.findings) == (5, 1, [], [])
    assert done.num_bytes == 200


@pytest.mark.parametrize("seed", range(12))
def test_flipped_byte_is_found_and_repaired(whole, tmp_path, seed):
    """B08 acceptance 6. One bit anywhere in a file: verify says so, --repair leaves only whole
    entries, and the damaged one can be stored anew."""
    root = tmp_path / "cache"
    shutil.copytree(whole, root)
    path = shard_path(root, "latents", "vae-1", 1)
    data = bytearray(path.read_bytes())
    base = read_header(bytes(data))[0]
    draw = random.Random(seed)
    at = draw.randrange(base, len(data)) if seed % 2 else draw.randrange(0, base - 8)
    data[at] ^= 1 << draw.randrange(7)
    path.write_bytes(data)
    found = verify(root)
    assert [f.code for f in found.findings] == ["DAT105"]
    assert found.findings[0].level == "error"
    (damage,) = found.damaged
    victim = {(at - base) // 40} if at >= base else set()
    assert {int.from_bytes(damage.key, "big")} == victim or not damage.key
    assert verify(root, repair=True).findings[0].level == "warn"
    assert stored(root) == set(range(5)) - victim
    again = verify(root)
    assert again.damaged == []
    with closing(cached.objects(root)) as objects:
        assert objects.missing([key(n) for n in range(5)]) == [key(n) for n in victim]
        objects.put_raw({key(n): raw(n, 40) for n in victim}, {})
    assert stored(root) == set(range(5))
    on_disk(root)


@pytest.mark.parametrize("how", ["gone", "shorter", "longer"])
def test_file_of_another_length(whole, tmp_path, how):
    """A lost, cut or grown file is told, and repaired to what is left of it."""
    root = tmp_path / "cache"
    shutil.copytree(whole, root)
    put(root, [7], size=40)
    path = shard_path(root, "latents", "vae-1", 1)
    data = path.read_bytes()
    path.unlink() if how == "gone" else path.write_bytes(
        data[:-10] if how == "shorter" else data + b"x"
    )
    assert verify(root).findings
    verify(root, repair=True)
    left = {"gone": {7}, "shorter": {0, 1, 2, 3, 7}, "longer": {0, 1, 2, 3, 4, 7}}[how]
    assert stored(root) == left
    assert verify(root).damaged == []


def test_damage_names_the_sample(whole, tmp_path):
    """Who reads the finding learns which pictures it is about."""
    root = tmp_path / "cache"
    shutil.copytree(whole, root)
    path = shard_path(root, "latents", "vae-1", 1)
    path.write_bytes(path.read_bytes()[:-1] + b"\0")
    origin.record(root, [Origin("/data/cats", "tom.png", "latents", key(4), "vae-1", {})])
    assert verify(root).findings[0].evidence["samples"] == ["/data/cats/tom.png"]


def test_damaged_index_is_a_finding(whole, tmp_path):
    """The database itself is looked at first."""
    root = tmp_path / "cache"
    shutil.copytree(whole, root)
    with closing(open_index(root)) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        page = db.execute("SELECT rootpage FROM sqlite_master WHERE name = 'blob'").fetchone()[0]
        size = db.execute("PRAGMA page_size").fetchone()[0]
    data = bytearray((root / "cache.db").read_bytes())
    data[(page - 1) * size + 3 : (page - 1) * size + 5] = b"\xff\xff"  # count of cells
    (root / "cache.db").write_bytes(data)
    with pytest.raises(TrainerError) as error:
        verify(root)
    assert error.value.finding.code == "DAT103"


def test_progress_counts_shards(whole):
    """Told after each shard, the end included."""
    told = []
    verify(whole, on_progress=lambda done, total: told.append((done, total)))
    assert told == [(1, 1)]
