"""Checkpoints that edit, trained for real: pairs of pictures, and a picture edited on the way."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from tests.support.edits import EDITS, picture
from tests.support.families import tiny_config
from trainer.config.schema.root import JobConfig
from trainer.loop import train as loop
from trainer.loop.session import Session
from trainer.runs.files import read_json
from trainer.runs.layout import RunDir

SIZE = 64
COUNT = 4


def pairs(root: Path, *before: str) -> None:
    """Pictures with captions, and those of other folders that they are made from."""
    for number, folder in enumerate(("after", *before)):
        (root / folder).mkdir()
        for one in range(COUNT):
            drawn = picture(SIZE, SIZE, seed=10 * number + one)
            drawn.save(root / folder / f"p{one}.png")
    for one in range(COUNT):
        (root / "after" / f"p{one}.txt").write_text(f"make it {'red ' * one}")


def job(name: str, model: Path, root: Path, *before: str, **sections: Any) -> JobConfig:
    edit = EDITS[name]
    partners = [{"id": b, "path": str(root / b), "role": "conditioning"} for b in before]
    after: dict[str, Any] = {"id": "after", "path": str(root / "after")}
    after["conditioning"] = [{"dataset": b} for b in before]
    settings: dict[str, Any] = {
        "train": {"steps": 2, "batch_size": 2},
        "optimizer": {"lr": 1e-2},
        "adapter": {"rank": 4},
        "data": {
            "defaults": {"resolution": f"{SIZE}px2", "caption": {"dropout": 0.3}},
            "datasets": [after, *partners],
        },
        "cache": {"root": str(root / "cache")},
        "validation": {
            "every_steps": 2,
            "steps": 2,
            "guidance": 3.0,
            "resolution": f"{SIZE}px",
            "inputs": [{"path": str(root / "input.png"), "prompt": "make it red"}],
        },
        "checkpoint": {"every_steps": 2},
        "compute": {"device": "cpu", "precision": {"dtype": "fp32"}},
    }
    return tiny_config(
        edit.family, model, **settings | sections | {"model": {"flavour": edit.flavour}}
    )


def run(config: JobConfig, folder: Path) -> RunDir:
    session = Session(RunDir(folder).create(), name="r", attempt=1)
    try:
        loop.train(session, config)
    finally:
        session.close()
    return session.run


@pytest.mark.parametrize("name", EDITS)
def test_a_run_trains_and_edits_a_picture(name, tiny_edit, tmp_path):
    """Two steps on pairs move the adapter; the edited picture has about the shape of its input."""
    pairs(tmp_path, "before")
    picture(100, 50, seed=77).save(tmp_path / "input.png")
    made = run(job(name, tiny_edit(name), tmp_path, "before"), tmp_path / "run")
    meta = read_json(made.samples_at(2) / "meta.json")
    assert meta is not None
    assert [entry["prompt"] for entry in meta["images"]] == ["make it red"]
    drawn = Image.open(made.samples_at(2) / meta["images"][0]["file"])
    assert drawn.size == ((96, 32) if EDITS[name].family == "qwen_image" else (96, 48))
    weights = next((tmp_path / "run" / "checkpoints").rglob("trainable.safetensors"))
    trained = [t for key, t in load_file(weights).items() if "lora_B" in key]
    assert trained
    assert sum(float(t.abs().sum()) for t in trained) > 0
    assert all(torch.isfinite(t).all() for t in trained)


def test_several_references_are_all_looked_at(tiny_edit, tmp_path, monkeypatch):
    """Two partners a sample reach the denoiser behind the sample, and the text encoder."""
    from trainer.models.qwen_image import QwenImage

    pairs(tmp_path, "before", "style")
    seen: list[tuple[int, ...]] = []
    told: list[int] = []
    forward, encode = QwenImage.forward, QwenImage.encode_seen

    def watched(self: Any, noisy: Any, time: Any, condition: Any) -> Any:
        seen.append(tuple(len(r) for r in condition.references))
        return forward(self, noisy, time, condition)

    def counted(self: Any, captions: Any, pictures: Any) -> Any:
        told.extend(len(p) for p in pictures)
        return encode(self, captions, pictures)

    monkeypatch.setattr(QwenImage, "forward", watched)
    monkeypatch.setattr(QwenImage, "encode_seen", counted)
    config = job("edit-v3", tiny_edit("edit-v3"), tmp_path, "before", "style", validation={})
    run(config, tmp_path / "run")
    assert seen
    assert (2, 2) in seen
    assert set(told) == {2}
