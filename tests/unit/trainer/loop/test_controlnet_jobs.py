"""Control nets through the whole loop: caches, steps, checkpoints, pictures, files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from tests.support.controlled import CONTROLLED
from tests.support.families import edge, tiny_config, tiny_family
from tests.support.pictures import make_folder
from tests.unit.trainer.loop.test_family_resume import Cut, run
from trainer import catalog
from trainer.adapters.controlnet import ControlNetWeights
from trainer.config.schema.root import JobConfig
from trainer.data.prepare import make_loader, prepare
from trainer.loop import train as loop
from trainer.models.base import build_family

OF_LATENTS, OF_PIXELS = "flux", "sd1x"


def job(kind: str, model: Path, root: Path, **changes: Any) -> JobConfig:
    """Four pictures, their inverses as control pictures, and one of them to draw from."""
    size = max(edge(kind), catalog.family_facts(kind).pixel_multiple)
    if not (root / "pictures").exists():
        make_folder(root / "pictures", 4, sizes=((size, size),))
        (root / "control").mkdir()
        for path in sorted((root / "pictures").glob("*.png")):
            levels = 255 - np.asarray(Image.open(path).convert("RGB"))
            Image.fromarray(levels).save(root / "control" / path.name)
    first = sorted((root / "control").iterdir())[0]
    sections: dict[str, Any] = {
        "train": {"steps": 2, "batch_size": 2},
        "optimizer": {"lr": 1e-3},
        "data": {
            "defaults": {"resolution": f"{size}px2", "caption": {"dropout": 0.3}},
            "datasets": [
                {
                    "id": "a",
                    "path": str(root / "pictures"),
                    "conditioning": [{"dataset": "c"}],
                },
                {"id": "c", "path": str(root / "control"), "role": "conditioning"},
            ],
        },
        "cache": {"root": str(root / "cache")},
        "checkpoint": {"every_steps": 1, "keep": 5},
        "compute": {"device": "cpu", "precision": {"dtype": "fp32"}},
        "validation": {
            "inputs": [{"path": str(first), "prompt": "a red apple"}],
            "steps": 2,
            "resolution": f"{size}px",
            "at_start": False,
        },
    }
    mode = {"mode": "controlnet"} | changes.pop("model", {})
    return tiny_config(kind, model, **sections | changes, model=mode)


@pytest.mark.conformance("controlnet")
@pytest.mark.parametrize("kind", CONTROLLED)
def test_a_cut_run_ends_with_the_same_bits(kind, tiny_model, tmp_path, monkeypatch):
    """Weights and moments of the net; it draws; and the folder that is left holds its weights."""
    config = job(kind, tiny_model(kind), tmp_path)
    whole = run(config, tmp_path / "whole")
    step = loop.optimiser_step

    def cut(parts: Any, batches: Any, number: int) -> Any:
        if number == 1:
            raise Cut
        return step(parts, batches, number)

    monkeypatch.setattr(loop, "optimiser_step", cut)
    with pytest.raises(Cut):
        run(config, tmp_path / "cut")
    monkeypatch.undo()
    torch.manual_seed(123)  # another process
    assert run(config, tmp_path / "cut", attempt=2) == whole
    assert list((tmp_path / "whole" / "samples").rglob("000.png"))
    saved = tmp_path / "whole" / "artifacts" / "controlnet"
    last = tmp_path / "whole" / "checkpoints" / "step-00000002" / "trainable.safetensors"
    trained = load_file(last)
    written = load_file(saved / "diffusion_pytorch_model.safetensors")
    assert all(torch.equal(written[name], value) for name, value in trained.items())
    again = tiny_family(
        kind,
        tiny_model(kind),
        "denoiser",
        model={"mode": "controlnet", "controlnet": {"path": str(saved)}},
    )
    reopened = ControlNetWeights(again, seed=1, dtype=torch.float32).state_dict()
    assert reopened.keys() == trained.keys()
    assert all(torch.equal(reopened[name], value) for name, value in trained.items())


@pytest.mark.parametrize("kind", [OF_LATENTS, OF_PIXELS, "sdxl", "sd3"])
@pytest.mark.parametrize("optimizer", ["adamw", "adamw_bf16"])
def test_it_trains_and_draws_in_bf16(kind, optimizer, tiny_model, tmp_path):
    """fp32 and bf16 weights of the net beside a bf16 model: no two precisions meet unconverted."""
    compute = {"device": "cpu", "precision": {"dtype": "bf16"}}
    config = job(
        kind, tiny_model(kind), tmp_path, compute=compute, optimizer={"name": optimizer, "lr": 1e-4}
    )
    run(config, tmp_path / "run")
    assert list((tmp_path / "run" / "samples").rglob("000.png"))


@pytest.mark.parametrize("kind", [OF_LATENTS, OF_PIXELS])
def test_the_net_is_shown_the_partner_of_each_sample(kind, tiny_model, tmp_path):
    """Pixels to the level, or latents of the mean: of the sample's own partner, not of another."""
    config = job(kind, tiny_model(kind), tmp_path)
    family = build_family(config, torch.device("cpu"), torch.float32)
    prepared = prepare(config, family, on_event=lambda *a, **k: None, should_stop=lambda: False)
    loader = make_loader(prepared, family, config, 0)
    batch = loader.make(0)
    names = {int(i): path for t in prepared.plan_train.tables for i, path in _named(t)}
    assert len(set(batch.sample_ids)) == 2
    for row, sample in enumerate(batch.sample_ids):
        path = tmp_path / "control" / names[sample]
        levels = torch.from_numpy(np.array(Image.open(path).convert("RGB"))).permute(2, 0, 1)
        shown = batch.conditioning[0][row]
        if kind == OF_PIXELS:
            assert shown.dtype == torch.uint8
            assert torch.equal(shown, levels)
        else:
            family.load("vae")
            mean, _ = family.posterior(levels[None].float() / 127.5 - 1)
            torch.testing.assert_close(shown, mean[0], atol=1e-5, rtol=1e-4)


def _named(table: Any) -> Any:
    return zip(table.ids, table.relpaths, strict=True)
