"""A disk that is full at any byte of any file costs no sample and leaves nothing half made."""

from __future__ import annotations

import resource
import shutil
from pathlib import Path

import pytest
import torch

from tests.support import child
from tests.support.disk import small_disk
from tests.support.fake_family import FakeFamily, job
from tests.support.pictures import make_folder
from trainer.data import snapshot
from trainer.data.prepare import Prepared, prepare
from trainer.errors import TrainerError

FULL = {"DAT102", "DAT103"}  # no room; or a database in the cache that cannot be written
FITS, NO_FINDING, TOLD = 0, 3, 4


def run(root: Path) -> tuple[Prepared, FakeFamily]:
    make = {"id": "a", "path": str(root / "a"), "conditioning": [{"generate": "random_masks"}]}
    family = FakeFamily()
    config = job(root, make)
    made = prepare(config, family, on_event=lambda *_, **__: None, should_stop=lambda: False)
    return made, family


def latents(made: Prepared, family: FakeFamily) -> dict[str, torch.Tensor]:
    reader, dataset = made.reader(family), made.plan_train.dataset(0)
    found = {}
    for item in made.plan_train.items():
        batch = reader.batch([item], [0], [item.captions[0]], dataset)
        assert batch.masks is not None
        found[item.relpath] = torch.cat([batch.latents.flatten(), batch.masks.flatten()])
    return found


def limited(root: Path, limit: int) -> None:
    """Prepare with files that cannot grow beyond `limit` bytes; a finding, or an exit code."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    try:
        run(root)
    except TrainerError as error:
        if {f.code for f in error.findings} - FULL:
            raise SystemExit(NO_FINDING) from error


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> tuple[Path, dict[str, torch.Tensor], str]:
    root = tmp_path_factory.mktemp("whole")
    make_folder(root / "a", 9, sizes=((64, 64), (128, 64)))
    made, family = run(root)
    return root, latents(made, family), made.plan_train.plan_hash


def fits(root: Path, expected: dict[str, torch.Tensor]) -> None:
    """Prepare and compare; the exit code says how it went."""
    try:
        found = latents(*run(root))
    except TrainerError as error:
        raise SystemExit(TOLD if {f.code for f in error.findings} <= FULL else NO_FINDING) from None
    raise SystemExit(FITS if all(torch.equal(found[k], v) for k, v in expected.items()) else 1)


@pytest.mark.parametrize("kib", [40, 100, 160, 220, 280, 340, 400, 4096])
def test_a_disk_without_room_is_a_finding(tmp_path, whole, kib, monkeypatch):
    """Full for real, wherever that is met: told, never a traceback; with room enough, none."""
    monkeypatch.setattr(snapshot, "MIN_ROWS", 5)
    source, expected, _ = whole
    shutil.copytree(source / "a", tmp_path / "a")
    with small_disk(tmp_path / "cache", kib):
        code = child.run(lambda: fits(tmp_path, expected))  # ends with its databases closed
    assert code == (FITS if kib == 4096 else TOLD if kib <= 100 else code)
    assert code in (FITS, TOLD)


@pytest.mark.parametrize(
    "limit", [0, 1, 90, 4096, 20_000, 32_768, 70_000, 120_000, 180_000, 220_000, 250_000, 280_000]
)
def test_what_did_not_fit_is_made_later(tmp_path, whole, limit, monkeypatch):
    """The run that met the full disk says so; the next one ends with the same samples."""
    monkeypatch.setattr(snapshot, "MIN_ROWS", 5)
    source, expected, plan_hash = whole
    shutil.copytree(source / "a", tmp_path / "a")
    assert child.run(lambda: limited(tmp_path, limit)) == 0
    made, family = run(tmp_path)
    assert made.plan_train.plan_hash == plan_hash
    found = latents(made, family)
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], expected[name]) for name in expected)
