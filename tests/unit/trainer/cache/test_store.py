"""The store: what is stored comes back checked; damage and crashes are noticed, never served."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import torch

from trainer.cache.store import Store
from trainer.errors import DataError

KEYS = [bytes([n]) * 16 for n in range(8)]


def entry(number: int) -> dict[str, torch.Tensor]:
    return {"latent": torch.full((4, 8), float(number)), "mask": torch.ones(3, dtype=torch.bool)}


@pytest.fixture
def store(tmp_path: Path) -> Store:
    made = Store(tmp_path, "latents", "vae-1")
    made.put({k: entry(i) for i, k in enumerate(KEYS[:4])}, {})
    return made


def test_entries_survive_reopening(store, tmp_path):
    """A second process sees the same tensors under the same keys."""
    again = Store(tmp_path, "latents", "vae-1")
    for number, key in enumerate(KEYS[:4]):
        assert torch.equal(again.get(key)["latent"], entry(number)["latent"])
    assert again.missing(KEYS) == KEYS[4:]


def test_shards_lie_where_the_layout_says(store, tmp_path):
    """<root>/<kind>/<encoder>/NNNNNN.st"""
    assert [p.name for p in (tmp_path / "latents" / "vae-1").iterdir()] == ["000001.st"]


@pytest.mark.parametrize("position", ["first", "last"])
def test_flipped_byte_is_detected_and_encoded_again(store, tmp_path, position):
    """One flipped bit: DAT100, the entry is missing afterwards, a new put repairs it."""
    shard = tmp_path / "latents" / "vae-1" / "000001.st"
    data = bytearray(shard.read_bytes())
    start, size = store._db.execute(
        "SELECT start, num_bytes FROM blob WHERE key = ?", (KEYS[2],)
    ).fetchone()
    data[start if position == "first" else start + size - 1] ^= 1
    shard.write_bytes(data)
    with pytest.raises(DataError) as error:
        store.get(KEYS[2])
    assert error.value.finding.code == "DAT100"
    assert store.missing(KEYS[:4]) == [KEYS[2]]
    store.put({KEYS[2]: entry(2)}, {})
    assert torch.equal(store.get(KEYS[2])["latent"], entry(2)["latent"])
    assert torch.equal(store.get(KEYS[1])["latent"], entry(1)["latent"])


@pytest.mark.parametrize("damage", ["removed", "truncated"])
def test_lost_shard_is_noticed_at_the_next_start(store, tmp_path, damage):
    """Entries of a shard that is gone or shorter count as missing; other shards stay."""
    store.put({KEYS[5]: entry(5)}, {})
    shard = tmp_path / "latents" / "vae-1" / "000001.st"
    if damage == "removed":
        shard.unlink()
    else:
        os.truncate(shard, shard.stat().st_size - 1)
    again = Store(tmp_path, "latents", "vae-1")
    assert again.missing(KEYS[:6]) == KEYS[:5]


def test_failures_are_remembered_with_their_reason(store):
    """A key that cannot be encoded is not missing, and says why."""
    store.put({}, {KEYS[6]: "the file is truncated"})
    assert store.missing(KEYS) == [KEYS[4], KEYS[5], KEYS[7]]
    assert store.failures(KEYS) == {KEYS[6]: "the file is truncated"}


def test_second_writer_of_a_key_changes_nothing(store):
    """The first stored tensor stays: readers never see an entry change."""
    store.put({KEYS[0]: entry(99)}, {})
    assert torch.equal(store.get(KEYS[0])["latent"], entry(0)["latent"])


def test_threads_read_at_once(store):
    """Each thread reads correctly, with connections and files of its own."""
    wrong: list[int] = []

    def read() -> None:
        for turn in range(200):
            number = turn % 4
            if store.get(KEYS[number])["latent"][0, 0] != number:
                wrong.append(number)

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert not wrong


def test_lease_of_a_living_process_is_respected_and_of_a_dead_one_is_not(store, tmp_path):
    """Another process's keys are left to it while it lives, and taken over when it died."""
    script = (
        "import sys; from pathlib import Path; from trainer.cache.store import Store;"
        f"s = Store(Path({str(tmp_path)!r}), 'latents', 'vae-1');"
        f"s.lease([{KEYS[4]!r}, {KEYS[5]!r}]); print('held', flush=True); sys.stdin.read()"
    )
    other = subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert other.stdin is not None
    assert other.stdout is not None
    assert other.stdout.readline() == "held\n"
    assert store.lease(KEYS[3:7]) == ([KEYS[6]], [KEYS[4], KEYS[5]])
    other.kill()
    other.wait(30)
    other.stdin.close()
    other.stdout.close()
    assert store.lease(KEYS[3:7]) == (KEYS[4:7], [])


def test_stored_and_released_keys_lose_their_lease(store):
    """put and release end leases, so nobody waits for them."""
    store.lease(KEYS[4:7])
    store.put({KEYS[4]: entry(4)}, {KEYS[5]: "bad"})
    store.release([KEYS[6]])
    assert store._db.execute("SELECT count(*) FROM lease").fetchone() == (0,)


def test_kinds_and_encoders_share_the_index_but_not_the_folder(store, tmp_path):
    """Text and latents live side by side under one index."""
    text = Store(tmp_path, "text", "t5-1")
    text.put({KEYS[7]: entry(7)}, {})
    assert (tmp_path / "text" / "t5-1" / "000002.st").exists()
    assert torch.equal(text.get(KEYS[7])["latent"], entry(7)["latent"])
