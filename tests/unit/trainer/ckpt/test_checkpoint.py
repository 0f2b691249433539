"""A checkpoint is whole or it is not there."""

from __future__ import annotations

import json

import pytest
import torch

from trainer.ckpt.identity import check_identity
from trainer.ckpt.load import find_checkpoint, read_checkpoint
from trainer.ckpt.retention import prune
from trainer.ckpt.save import save_checkpoint
from trainer.ckpt.state import MANIFEST, Progress, TrainingState
from trainer.ckpt.verify import checkpoints, damage
from trainer.errors import IdentityMismatch, NotResumable


def state(step: int) -> TrainingState:
    value = torch.full((3,), float(step))
    return TrainingState(
        progress=Progress(
            step=step, epoch=1, samples=step, loss_ema=0.1, ema_count=0, data={"micro_step": step}
        ),
        trainable={"w": value},
        optimizer={"state": {0: {"m": value * 2, "step": 3}}, "param_groups": [{"lr": 0.1}]},
        ema={"w": value.double().float()},
        identity={"family": "flux", "seed": 1},
    )


def refuse(path, reason):
    raise AssertionError(f"{path} was quarantined: {reason}")


def test_round_trip(tmp_path):
    """Everything comes back equal, integer keys and floats included."""
    save_checkpoint(tmp_path, state(5))
    back = read_checkpoint(find_checkpoint(tmp_path, report=refuse))
    assert back.progress == state(5).progress
    assert back.optimizer["param_groups"] == [{"lr": 0.1}]
    assert torch.equal(back.optimizer["state"][0]["m"], torch.full((3,), 10.0))
    assert back.identity == {"family": "flux", "seed": 1}


def test_every_altered_or_cut_file_is_noticed(tmp_path):
    """One flipped byte or one missing byte in any file: the previous checkpoint is used."""
    save_checkpoint(tmp_path, state(1))
    names = sorted(p.name for p in save_checkpoint(tmp_path, state(2)).iterdir())
    assert len(names) == 6
    for name in names:
        for spoil in ("flip", "cut", "remove"):
            newest = save_checkpoint(tmp_path, state(2))
            file = newest / name
            data = bytearray(file.read_bytes())
            if spoil == "flip":
                data[len(data) // 2] ^= 1
            elif spoil == "cut":
                del data[-1]
            file.write_bytes(data)
            if spoil == "remove":
                file.unlink()
            seen: list[str] = []
            found = find_checkpoint(tmp_path, report=lambda p, r, seen=seen: seen.append(r))
            assert found is not None
            assert found.name == "step-00000001", (name, spoil)
            assert len(seen) == 1


def test_edited_manifest_is_damage(tmp_path):
    """The manifest vouches for itself too: another identity in it does not pass."""
    folder = save_checkpoint(tmp_path, state(1))
    text = (folder / MANIFEST).read_text()
    (folder / MANIFEST).write_text(text.replace('"seed": 1', '"seed": 2'))
    assert damage(folder) == "the manifest was altered"
    (folder / MANIFEST).write_text("{")
    assert damage(folder) == "the manifest is not readable"


def test_none_left_is_not_resumable(tmp_path):
    """When all are damaged the run refuses to start over silently."""
    folder = save_checkpoint(tmp_path, state(1))
    (folder / "trainable.safetensors").unlink()
    with pytest.raises(NotResumable, match="RUN004"):
        find_checkpoint(tmp_path, report=lambda p, r: None)
    assert [p.name for p in tmp_path.iterdir()] == ["bad-step-00000001"]


def test_prune_keeps_the_newest(tmp_path):
    """Retention removes the oldest and nothing else."""
    for step in (1, 2, 3, 10):
        save_checkpoint(tmp_path, state(step))
    assert [p.name for p in prune(tmp_path, 2)] == ["step-00000002", "step-00000001"]
    assert [p.name for p in checkpoints(tmp_path)] == ["step-00000010", "step-00000003"]


@pytest.mark.parametrize("field", ["family", "seed"])
def test_identity_is_refused_by_name_and_allowed_by_name(field):
    """Each differing field is named; allowing exactly that field lets the run continue."""
    stored = {"family": "flux", "seed": 1}
    current = stored | {field: "other"}
    with pytest.raises(IdentityMismatch, match=field):
        check_identity(stored, current, allow=[], where="x")
    assert check_identity(stored, current, allow=[field], where="x") == [field]


def test_full_disk_leaves_the_old_checkpoint(tmp_path, monkeypatch):
    """ENOSPC before the manifest: no staging folder remains, the previous one verifies."""
    import trainer.ckpt.save as module

    save_checkpoint(tmp_path, state(1))

    def no_space(name):
        if name == "ckpt.before_manifest":
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(module, "point", no_space)
    with pytest.raises(OSError, match="No space"):
        save_checkpoint(tmp_path, state(2))
    assert [p.name for p in tmp_path.iterdir()] == ["step-00000001"]
    assert damage(tmp_path / "step-00000001") is None


def test_manifest_lists_every_file(tmp_path):
    """Nothing in a checkpoint is outside the manifest's protection."""

    def export(folder):
        (folder / "adapter").mkdir()
        (folder / "adapter" / "x.safetensors").write_bytes(b"x")

    folder = save_checkpoint(tmp_path, state(1), export=export)
    listed = set(json.loads((folder / MANIFEST).read_text())["files"])
    there = {str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()}
    assert listed == there - {MANIFEST}
