"""Filling a store: killed anywhere, shared by two processes, stopped, or out of room."""

from __future__ import annotations

import shutil
import signal
from collections import Counter, namedtuple
from pathlib import Path

import pytest
import torch

from tests.support import child
from tests.support.fake_family import FakeFamily, job
from tests.support.pictures import make_folder
from trainer.cache import build, room
from trainer.cache.keys import text_key
from trainer.cache.store import Store
from trainer.cache.text import build_text
from trainer.data.prepare import prepare
from trainer.errors import TrainerError

SIZES = ((64, 64), (128, 64), (64, 128))


def quiet(kind: str, **fields: object) -> None:
    pass


def prepared(root: Path, family: FakeFamily | None = None):
    config = job(root, {"id": "a", "path": str(root / "a")}, validation={"prompts": ["a tree"]})
    family = family or FakeFamily()
    family.batch_matters = True
    return prepare(config, family, on_event=quiet, should_stop=lambda: False)


def contents(root: Path) -> dict[bytes, dict[str, torch.Tensor]]:
    """Every entry of both stores."""
    found = {}
    for kind, encoder in (("latents", "vae-1-sample-fp32"), ("text", "text-1")):
        store = Store(root / "cache", kind, encoder)
        shards = [n for (n,) in store._db.execute("SELECT id FROM shard WHERE kind = ?", (kind,))]
        for shard in shards:
            rows = store._db.execute("SELECT key FROM blob WHERE shard = ?", (shard,)).fetchall()
            found |= {key: store.get(key) for (key,) in rows}
        store.close()
    return found


def assert_equal(a: dict, b: dict) -> None:
    assert a.keys() == b.keys()
    for key, entry in a.items():
        assert entry.keys() == b[key].keys()
        assert all(torch.equal(t, b[key][name]) for name, t in entry.items())


@pytest.fixture
def flush_every_group(monkeypatch):
    monkeypatch.setattr(build, "FLUSH_BYTES", 0)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("build")
    make_folder(root / "a", 11, sizes=SIZES)
    return root


POINTS = [
    "index.after_commit@1",  # then 6 groups of text and 5 of pictures
    *(f"cache.before_shard@{n}" for n in (1, 2, 6, 7, 9, 11)),
    *(f"cache.after_shard@{n}" for n in (1, 3, 5, 8, 10, 11)),
    *(f"cache.after_index@{n}" for n in (1, 2, 4, 6, 7, 9, 10)),
]


@pytest.fixture(scope="module")
def undisturbed(folder, tmp_path_factory):
    root = tmp_path_factory.mktemp("undisturbed")
    shutil.copytree(folder / "a", root / "a")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(build, "FLUSH_BYTES", 0)
        prepared(root)
    return contents(root)


@pytest.mark.parametrize("point", POINTS)
def test_killed_build_ends_with_the_same_bytes(
    folder, tmp_path, undisturbed, flush_every_group, point
):
    """SIGKILL at a named point: the next build encodes only what is missing, bit for bit alike."""
    shutil.copytree(folder / "a", tmp_path / "a")
    assert child.run(lambda: prepared(tmp_path), f"{point}=kill") == -signal.SIGKILL
    before = contents(tmp_path)
    family = FakeFamily()
    prepared(tmp_path, family)
    after = contents(tmp_path)
    assert_equal(after, undisturbed)
    latents = {key for key, entry in before.items() if "latent" in entry}
    assert family.num_pictures == 11 - len(latents)
    assert len(family.captions) == len(after) - 11 - (len(before) - len(latents))


def test_two_processes_encode_each_key_once(folder, tmp_path, flush_every_group):
    """Two builds at once share the work: together each picture is encoded exactly once."""
    shutil.copytree(folder / "a", tmp_path / "a")

    def work() -> None:
        family = FakeFamily()
        family.log = tmp_path / "encoded"
        prepared(tmp_path, family)

    children = [child.start(work) for _ in range(3)]
    assert [child.wait(pid) for pid in children] == [0, 0, 0]
    encoded = Counter((tmp_path / "encoded").read_text().split())
    assert len(encoded) == 11
    assert set(encoded.values()) == {1}


def test_keys_of_a_killed_process_are_taken_over(folder, tmp_path, undisturbed, flush_every_group):
    """A process that dies while holding leases blocks nobody."""
    shutil.copytree(folder / "a", tmp_path / "a")
    children = [
        child.start(lambda: prepared(tmp_path), "cache.before_shard@6=kill"),
        child.start(lambda: prepared(tmp_path)),
    ]
    assert [child.wait(pid) for pid in children][1] == 0
    assert contents(tmp_path).keys() == undisturbed.keys()


def test_stop_request_keeps_what_is_encoded(tmp_path):
    """Asked to stop: False, and the finished groups are stored."""
    store = Store(tmp_path, "text", "text-1")
    family = FakeFamily()
    captions = [f"caption {n}" for n in range(10)]
    asked = iter([False, False, True])
    whole = build_text(
        captions,
        family,
        store,
        batch_size=2,
        on_progress=lambda done, total: None,
        should_stop=lambda: next(asked),
    )
    assert not whole
    assert len(store.missing([text_key(c, "text-1") for c in captions])) == 6
    assert "text" not in family.loaded


def test_error_in_the_encoder_gives_its_leases_back(tmp_path):
    """A crash of the encoder leaves no key claimed, and passes the error on."""
    store = Store(tmp_path, "text", "text-1")

    def broken(keys):
        raise RuntimeError("out of memory")

    with pytest.raises(RuntimeError, match="out of memory"):
        build.fill(
            store,
            [[b"k" * 16]],
            broken,
            on_progress=lambda done, total: None,
            should_stop=lambda: False,
        )
    assert store._db.execute("SELECT count(*) FROM lease").fetchone() == (0,)


def test_too_little_room_is_refused_after_the_first_group(tmp_path, monkeypatch):
    """The first group tells the size of all; what the disk cannot hold is refused (DAT102)."""
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(room.shutil, "disk_usage", lambda path: usage(100, 80, 20))
    family = FakeFamily()
    with pytest.raises(TrainerError) as error:
        build_text(
            [f"caption {n}" for n in range(10)],
            family,
            Store(tmp_path, "text", "text-1"),
            batch_size=2,
            on_progress=lambda done, total: None,
            should_stop=lambda: False,
        )
    assert error.value.finding.code == "DAT102"
    assert len(family.captions) == 2
