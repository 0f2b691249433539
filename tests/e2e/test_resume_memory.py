"""Exact resume under the levers of memory and speed: killed once, the same bytes at the end."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.pictures import make_folder
from tests.support.train_server import TrainServer

STEPS = 6

LEVERS = {
    "int8": 'compute.quant.base = "int8-torchao"\ncompute.precision.dtype = "fp32"',
    "swap": "compute.offload.blocks = 2",
    "selective": 'compute.checkpointing.mode = "selective"\ncompute.checkpointing.interval = 2',
    "8-bit states": 'optimizer.name = "adamw8bit"\nadapter.preset = "all+ffs"\nadapter.rank = 64',
    "fused backward": "optimizer.fused_backward = true\noptimizer.clip = false",
    "nf4": 'compute.quant.base = "nf4-bnb"',
}


@pytest.fixture(scope="module")
def server() -> Iterator[TrainServer]:
    made = TrainServer()
    yield made
    made.close()


def job(root: Path, model: Path, lever: str) -> Path:
    make_folder(root / "a", 4, sizes=((64, 64),))
    path = root / "job.toml"
    path.write_text(f"""
{LEVERS[lever]}
model.family = "flux"
model.path = "{model}"
model.max_tokens = 32
train.steps = {STEPS}
train.batch_size = 2
schedule.name = "cosine"
data.defaults.resolution = "64px2"
data.datasets = [{{id = "a", path = "a"}}]
cache.root = "{root / "cache"}"
checkpoint.every_steps = 2
compute.device = "auto"
""")
    return path


@pytest.mark.parametrize("lever", LEVERS)
def test_killed_and_continued_ends_with_the_same_bytes(lever, server, tiny_model, tmp_path):
    """What is not in the checkpoint (a quantised base, hooks) is made again exactly."""
    config = job(tmp_path, tiny_model("flux"), lever)
    runs = [tmp_path / "whole", tmp_path / "killed"]
    assert server.run(config, runs[0]) == 0, Path(f"{runs[0]}.log").read_text()[-3000:]
    fault = "step.after_optimizer@4=kill"
    assert server.run(config, runs[1], STUNE_FAULT=fault) == -signal.SIGKILL
    assert server.run(config, runs[1], STUNE_FAULT="") == 0
    last = f"checkpoints/step-{STEPS:08d}"
    for name in ("trainable.safetensors", "optimizer.safetensors", "optimizer.json"):
        one, other = ((run / last / name).read_bytes() for run in runs)
        assert one == other, name
    saved = [sorted((run / "artifacts").glob("*.safetensors")) for run in runs]
    assert saved[0]
    assert [p.read_bytes() for p in saved[0]] == [p.read_bytes() for p in saved[1]]
