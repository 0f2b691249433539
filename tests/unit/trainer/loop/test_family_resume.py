"""Every family trains in every way, and a run that was cut goes on to the same bits.

The cut falls behind the first of two steps, so that the second needs all of the state: weights,
both moments, position, draws.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from tests.support.families import KINDS, edge, tiny_config
from tests.support.pictures import make_folder
from trainer.config.schema.root import JobConfig
from trainer.loop import train as loop
from trainer.loop.session import Session
from trainer.runs.layout import RunDir

WAYS: dict[str, dict[str, Any]] = {
    "lora": {"adapter": {"rank": 4}},
    "lycoris": {"adapter": {"kind": "lycoris", "rank": 4, "lycoris": {"algo": "lokr"}}},
    "full": {"model": {"mode": "full"}},
}
STEPS = 2


class Cut(Exception):
    pass


def job(kind: str, model: Path, root: Path, way: str) -> JobConfig:
    size = edge(kind)
    if not (root / "pictures").exists():
        make_folder(root / "pictures", 4, sizes=((size, size),))
    changes = WAYS[way]
    sections: dict[str, Any] = {
        "train": {"steps": STEPS, "batch_size": 2},
        "optimizer": {"lr": 1e-3},
        "data": {
            "defaults": {"resolution": f"{size}px2", "caption": {"dropout": 0.3}},
            "datasets": [{"id": "a", "path": str(root / "pictures")}],
        },
        "cache": {"root": str(root / "cache")},
        "checkpoint": {"every_steps": 1, "keep": 5},
        "compute": {"device": "cpu", "precision": {"dtype": "fp32"}},
    }
    return tiny_config(kind, model, **sections | changes)


def run(config: JobConfig, folder: Path, attempt: int = 1) -> dict[str, bytes]:
    """Train; the files of the last checkpoint."""
    session = Session(RunDir(folder).create(), name="r", attempt=attempt)
    try:
        loop.train(session, config)
    finally:
        session.close()
    last = folder / "checkpoints" / f"step-{STEPS:08d}"
    return {p.name: p.read_bytes() for p in last.iterdir() if p.suffix == ".safetensors"}


@pytest.mark.conformance("resume")
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("way", [pytest.param(w, marks=pytest.mark.conformance(w)) for w in WAYS])
def test_a_cut_run_ends_with_the_same_bits(kind, way, tiny_model, tmp_path, monkeypatch):
    """Weights and moments after two steps in one go, and with a new process's state between."""
    config = job(kind, tiny_model(kind), tmp_path, way)
    whole = run(config, tmp_path / "whole")
    assert set(whole) >= {"trainable.safetensors", "optimizer.safetensors"}
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
