"""Starts over one cache: warm ones are quick, clean-ups and quotas do not get between them."""

from __future__ import annotations

import os
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.support.cached import end, on_disk
from tests.support.fake_family import FakeFamily, job
from tests.support.pictures import make_folder
from trainer.cache.estimate import latent_need, picture_shape
from trainer.cache.export import export
from trainer.cache.gc import collect
from trainer.cache.importing import take_in
from trainer.cache.references import all_references
from trainer.cache.tables import open_index
from trainer.cache.verify import verify
from trainer.data import needs
from trainer.data.prepare import Prepared, prepare
from trainer.errors import TrainerError


def start(root: Path, name: str = "a", run: str | None = "run", **sections: Any) -> FakeFamily:
    return prepared(root, name, run, **sections)[1]


def prepared(
    root: Path, name: str = "a", run: str | None = "run", **sections: Any
) -> tuple[Prepared, FakeFamily]:
    """Prepare a job on one folder for a run directory."""
    folder = None if run is None else root / run
    if folder is not None:
        folder.mkdir(exist_ok=True)
    family = FakeFamily()
    config = job(root, {"id": name, "path": str(root / name)}, **sections)
    made = prepare(
        config, family, on_event=lambda kind, **f: None, should_stop=lambda: False, run=folder
    )
    return made, family


@pytest.fixture
def root(tmp_path: Path) -> Path:
    make_folder(tmp_path / "a", 8)
    return tmp_path


def test_warm_start_over_five_thousand_entries(tmp_path):
    """B08 acceptance 9: at most 3 s."""
    folder = tmp_path / "a"
    folder.mkdir()
    for number in range(5000):
        colour = (number % 256, number // 256, 7)
        Image.new("RGB", (64, 64), colour).save(folder / f"{number}.png", compress_level=1)
        (folder / f"{number}.txt").write_text(f"colour {number}")
    cold = start(tmp_path, cache={"root": str(tmp_path / "cache"), "batch_size": 64})
    assert (cold.num_pictures, len(cold.captions)) == (5000, 5000)
    took = []
    for _ in range(3):
        before = time.monotonic()
        assert not start(tmp_path).loads
        took.append(time.monotonic() - before)
    assert min(took) <= 3.0


def test_second_start_asks_for_no_key(root, monkeypatch):
    """What is covered is not looked up entry by entry."""
    start(root)
    monkeypatch.setattr(needs.Keys, "missing", lambda self, store: pytest.fail("keys were asked"))
    assert not start(root).loads


def test_run_protects_what_it_uses(root):
    """The clean-up between two starts of a run that can go on takes nothing; after its end
    everything may go, and the next start encodes it anew."""
    start(root)
    with closing(open_index(root / "cache")) as db:
        found = {(Path(r.run).name, r.dataset, r.kind) for r in all_references(db)}
    assert ("run", "a", "latents") in found
    assert ("run", "a", "text") in found
    done = collect(root / "cache", quota=0)
    assert done.entries == 0
    assert not start(root).loads
    end(root / "run", "succeeded")
    assert collect(root / "cache", quota=0).bytes_after == 0
    assert start(root).num_pictures == 8


def test_quota_of_a_job_clears_what_other_runs_left(root):
    """cache.max_gb: a finished run's entries make way for the new one's, which all fit."""
    start(root, run="old")
    size = on_disk(root / "cache")
    end(root / "old", "succeeded")
    make_folder(root / "b", 8, seed=9)
    need = latent_need([picture_shape((64, 64), 3, 8)] * 8).num_bytes
    quota = size + need // 2
    limit = {"cache": {"root": str(root / "cache"), "batch_size": 3, "max_gb": quota / 1e9}}
    assert start(root, "b", run="new", **limit).num_pictures == 8
    assert on_disk(root / "cache") <= quota
    with closing(open_index(root / "cache")) as db:
        assert db.execute("SELECT count(*) FROM blob").fetchone()[0] < 2 * (8 + 16)
    assert not start(root, "b", run="new", **limit).loads


def test_quota_below_what_is_needed_is_refused_before_encoding(root):
    """DAT104 before a picture is read, and what a resumable run uses is untouched."""
    start(root, run="other")
    size = on_disk(root / "cache")
    make_folder(root / "b", 8, seed=9)
    limit = {"cache": {"root": str(root / "cache"), "max_gb": size / 1e9}}
    with pytest.raises(TrainerError) as error:
        start(root, "b", run="new", **limit)
    assert error.value.finding.code == "DAT104"
    assert str(root / "other") in error.value.finding.evidence["runs"]
    assert not start(root, run="other").loads


def test_clean_up_right_before_the_reference_is_noticed(root, monkeypatch):
    """An entry cleared between looking and referring is encoded by this very start."""
    start(root, run=None)
    real = needs.Stores.of
    cleared = []

    def late(self, table):
        if not cleared:
            cleared.append(True)
            return real(self, table)
        if len(cleared) == 1:  # after the first look, before the reference
            cleared.append(True)
            collect(root / "cache", quota=0)
        return real(self, table)

    monkeypatch.setattr(needs.Stores, "of", late)
    assert start(root).num_pictures == 8


def test_damaged_entry_is_encoded_again(root):
    """B08 acceptance 6, whole: a flipped byte, verify --repair, one encode."""
    start(root)
    shard = max((root / "cache" / "latents").glob("*/*.st"), key=os.path.getsize)
    data = bytearray(shard.read_bytes())
    data[-1] ^= 1
    shard.write_bytes(data)
    assert len(verify(root / "cache", repair=True).damaged) == 1
    assert start(root).num_pictures == 1


def test_imported_entries_are_not_encoded(root, tmp_path):
    """What another machine encoded is used as if it had been here."""
    start(root)
    export(root / "cache", tmp_path / "cache.tar", run=root / "run")
    elsewhere = {"cache": {"root": str(tmp_path / "elsewhere"), "batch_size": 3}}
    taken = take_in(tmp_path / "elsewhere", tmp_path / "cache.tar")
    assert taken.damaged == 0
    assert not start(root, **elsewhere).loads
