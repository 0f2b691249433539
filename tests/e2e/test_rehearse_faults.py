"""What would stop a run after an hour is met by its rehearsal, in the phase it belongs to (B03)."""

from __future__ import annotations

import errno
import json
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.support.disk import small_disk
from tests.support.rehearsal import make_job, rehearse
from trainer.adapters import lora, verify
from trainer.adapters.lora import LoRA
from trainer.ckpt import save as ckpt_save
from trainer.loop import saving
from trainer.models.base import Family
from trainer.rehearse import phases

KIND = "flux"


@dataclass
class Scene:
    """A job that passes, on a model of its own, for a fault to damage."""

    job: Path
    monkeypatch: pytest.MonkeyPatch
    args: list[str] = field(default_factory=list)

    @property
    def root(self) -> Path:
        return self.job.parent

    @property
    def model(self) -> Path:
        return self.root / "model"

    def set(self, *pairs: str) -> None:
        for pair in pairs:
            self.args += ["--set", pair]

    def weights(self, slot: str, change: Callable[[dict[str, torch.Tensor]], object]) -> None:
        """Rewrite the weights of a component."""
        (path,) = (self.model / slot).glob("*.safetensors")
        tensors = load_file(path)
        change(tensors)
        save_file(tensors, path, metadata={"format": "pt"})


# --- faults ----------------------------------------------------------------------------------


def unknown_key(scene: Scene) -> None:
    scene.job.write_text(scene.job.read_text() + "\n[debug]\nlog_evry = 3\n")


def missing_folder(scene: Scene) -> None:
    shutil.rmtree(scene.root / "a")


def unwritable_output(scene: Scene) -> None:
    (scene.root / "runs").write_text("a file where the folder should be")


def unwritable_cache(scene: Scene) -> None:
    (scene.root / "cache").write_text("a file where the folder should be")


def corrupt_picture(scene: Scene) -> None:
    (scene.root / "a" / "p001.png").write_bytes(b"not a picture")
    scene.set("data.on_corrupt=fail")


def cut_picture(scene: Scene) -> None:
    """Its header is whole, so only decoding finds it."""
    for path in (scene.root / "a").glob("*.png"):
        path.write_bytes(path.read_bytes()[:-30])
    scene.set("data.on_corrupt=fail")


def missing_caption(scene: Scene) -> None:
    (scene.root / "a" / "p002.txt").unlink()


def bad_input(scene: Scene) -> None:
    (scene.root / "input.png").write_bytes(b"no picture either")
    scene.job.write_text(
        scene.job.read_text().replace('family = "flux"', 'family = "flux"\nflavour = "kontext"')
        + '[[data.datasets]]\nid = "c"\npath = "c"\nrole = "conditioning"\n'
        + '[[validation.inputs]]\npath = "input.png"\nprompt = "make it red"\n'
    )
    text = scene.job.read_text()
    text = text.replace('path = "a"\n', 'path = "a"\nconditioning = [{ dataset = "c" }]\n')
    scene.job.write_text(text.replace('prompts = ["a red apple", "a green one"]\n', ""))
    shutil.copytree(scene.root / "a", scene.root / "c")


def wrong_family(scene: Scene) -> None:
    text = scene.job.read_text().replace("max_tokens = 32\n", "")
    scene.job.write_text(text.replace('family = "flux"', 'family = "sdxl"'))


def missing_vae(scene: Scene) -> None:
    shutil.rmtree(scene.model / "vae")


def missing_encoder(scene: Scene) -> None:
    shutil.rmtree(scene.model / "text_encoder_2")


def lacking_tensor(scene: Scene) -> None:
    scene.weights("transformer", lambda tensors: tensors.pop(sorted(tensors)[0]))


def foreign_adapter(scene: Scene) -> None:
    path = scene.root / "start.safetensors"
    save_file({"transformer.nowhere.lora_A.weight": torch.zeros(4, 8)}, path)
    scene.set(f'adapter.init_from="{path}"')


def missing_package(scene: Scene) -> None:
    scene.monkeypatch.setitem(sys.modules, "prodigyopt", None)
    scene.set('optimizer.name="prodigy"')


def nan_weights(scene: Scene) -> None:
    def spoil(tensors: dict[str, torch.Tensor]) -> None:
        tensors[next(n for n in sorted(tensors) if n.startswith("x_embedder"))].fill_(torch.nan)

    scene.weights("transformer", spoil)


def no_memory(scene: Scene) -> None:
    def full(*_: Any) -> None:
        raise torch.OutOfMemoryError("the device is full")

    scene.monkeypatch.setattr(phases, "optimiser_step", full)


def full_disk(scene: Scene) -> None:
    def refuse(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    scene.monkeypatch.setattr(ckpt_save, "_write_manifest", refuse)


def damaged_checkpoint(scene: Scene) -> None:
    write = saving.save_checkpoint

    def damaging(*args: Any, **kwargs: Any) -> Path:
        path = write(*args, **kwargs)
        blob = bytearray((path / "optimizer.safetensors").read_bytes())
        blob[-1] ^= 1
        (path / "optimizer.safetensors").write_bytes(blob)
        return path

    scene.monkeypatch.setattr(saving, "save_checkpoint", damaging)


def inexact_reload(scene: Scene) -> None:
    load = LoRA.load_state_dict

    def losing(self: LoRA, tensors: Any) -> None:
        load(self, {name: t.to(torch.bfloat16).to(t.dtype) for name, t in tensors.items()})

    scene.monkeypatch.setattr(LoRA, "load_state_dict", losing)


def changing_base(scene: Scene) -> None:
    """All that is saved is equal, and yet the model predicts something else."""
    loads: list[int] = []
    load = Family._denoiser

    def other(self: Family) -> Any:
        module = load(self)
        loads.append(1)
        next(module.parameters()).data.mul_(len(loads))
        return module

    scene.monkeypatch.setattr(Family, "_denoiser", other)


def broken_pipeline(scene: Scene) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise KeyError("scheduler")

    scene.monkeypatch.setattr("trainer.models.flux.Flux.pipeline_kwargs", refuse)


def lost_key(scene: Scene) -> None:
    write = lora.io.write_comfyui

    def losing(*args: Any, **kwargs: Any) -> Path:
        path = write(*args, **kwargs)
        tensors = load_file(path)
        tensors.pop(next(name for name in sorted(tensors) if "lora" in name))
        save_file(tensors, path)
        return path

    scene.monkeypatch.setattr(lora.io, "write_comfyui", losing)


def unloadable_export(scene: Scene) -> None:
    def refuse(*_: Any) -> None:
        raise ValueError("no such module")

    scene.monkeypatch.setattr(verify, "_load", refuse)


FAULTS: dict[Callable[[Scene], None], tuple[str, str]] = {
    unknown_key: ("lint", "CFG004"),
    missing_folder: ("lint", "DAT001"),
    unwritable_output: ("place", "RUN030"),
    unwritable_cache: ("place", "RUN030"),
    bad_input: ("inputs", "DAT042"),
    corrupt_picture: ("scan", "DAT003"),
    missing_caption: ("scan", "DAT006"),
    cut_picture: ("encode", "DAT003"),
    wrong_family: ("encode", "ENV002"),
    missing_vae: ("encode", "ENV001"),
    missing_encoder: ("encode", "ENV001"),
    lacking_tensor: ("load", "ENV003"),
    foreign_adapter: ("load", "LOR004"),
    missing_package: ("load", "RUN013"),
    nan_weights: ("train", "RUN007"),
    no_memory: ("train", "RUN008"),
    full_disk: ("checkpoint", "RUN006"),
    damaged_checkpoint: ("reload", "RUN004"),
    inexact_reload: ("reload", "RUN031"),
    changing_base: ("reload", "RUN031"),
    broken_pipeline: ("validate", "RUN012"),
    lost_key: ("export", "LOR001"),
    unloadable_export: ("export", "LOR006"),
}


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
def test_a_fault_is_told_in_its_phase(fault, tmp_path, tiny_model, capsys, monkeypatch):
    """Phase, code and exit 1; what comes after is not reached, and what came before passed."""
    shutil.copytree(tiny_model(KIND), tmp_path / "model")
    scene = Scene(make_job(tmp_path, KIND, tmp_path / "model"), monkeypatch)
    fault(scene)
    done = rehearse(capsys, scene.job, *scene.args)
    phase, code = FAULTS[fault]
    ran = [p for p in done.data["phases"] if p["status"] != "passed"][:2]
    told = json.dumps([ran, done.findings], indent=1)
    assert (done.code, done.data["status"], done.data["failed_phase"]) == (1, "failed", phase), told
    assert code in done.phase(phase)["codes"], told
    states = [one["status"] for one in done.data["phases"]]
    place = states.index("failed")
    assert set(states[:place]) <= {"passed", "skipped"}
    assert set(states[place + 1 :]) <= {"not reached"}
    levels = {found["level"] for found in done.findings if found["code"] == code}
    assert "error" in levels
    assert not list(tmp_path.rglob(".rehearsal-*"))


@pytest.mark.parametrize(("kib", "phase", "code"), [(900, "checkpoint", "RUN006")])
def test_a_disk_that_is_too_small(kib, phase, code, tmp_path, tiny_model, capsys):
    """Full for real where the run will write, though the run directory itself is never touched."""
    job = make_job(tmp_path, KIND, tiny_model(KIND))
    with small_disk(tmp_path / "runs", kib):
        (tmp_path / "runs" / "ballast").write_bytes(bytes((kib - 60) << 10))
        done = rehearse(capsys, job)
        left = [path.name for path in (tmp_path / "runs").iterdir()]
    assert (done.code, done.data["failed_phase"]) == (1, phase), done.findings
    assert code in done.phase(phase)["codes"]
    assert left == ["ballast"]


def test_a_cache_disk_that_is_too_small(tmp_path, tiny_model, capsys):
    """Met while the samples are encoded or looked at, told as the cache tells it."""
    job = make_job(tmp_path, KIND, tiny_model(KIND))
    with small_disk(tmp_path / "disk", 100):
        done = rehearse(capsys, job, "--set", f'cache.root="{tmp_path}/disk/cache"')
    assert done.code == 1
    assert done.data["failed_phase"] in ("scan", "encode")
    assert done.codes & {"DAT102", "DAT103"}
