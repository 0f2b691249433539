"""A run with an assistant adapter: resumed exactly, in no picture, part of the run's identity."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.adapters import trained
from tests.support.pictures import make_folder
from tests.support.train_server import TrainServer

STEPS = 6


@pytest.fixture(scope="module")
def server() -> Iterator[TrainServer]:
    made = TrainServer()
    yield made
    made.close()


@pytest.fixture(scope="module")
def job(tmp_path_factory, tiny_model) -> Path:
    """Subject and prior pictures, an adapter with dropout, a picture before and after."""
    root = tmp_path_factory.mktemp("assisted")
    make_folder(root / "a", 4, sizes=((64, 64),))
    make_folder(root / "b", 4, sizes=((64, 64),), seed=1)
    _, helper = trained("z_image", tiny_model("z_image"), seed=11)
    helper.save(root / "helper", step=1)
    config = root / "job.toml"
    config.write_text(f"""
[model]
family = "z_image"
path = "{tiny_model("z_image")}"
max_tokens = 64
[model.assistant]
path = "helper"
weight_name = "pytorch_lora_weights.safetensors"
[adapter]
rank = 4
dropout = 0.1
[train]
steps = {STEPS}
batch_size = 2
[optimizer]
lr = 1e-3
[data.defaults]
resolution = "64px2"
[[data.datasets]]
id = "a"
path = "a"
[[data.datasets]]
id = "b"
path = "b"
role = "prior"
[cache]
root = "{root / "cache"}"
[validation]
prompts = ["a red apple"]
steps = 2
guidance = 0.0
[checkpoint]
every_steps = 2
[compute]
device = "cpu"
precision.dtype = "fp32"
""")
    return config


@pytest.fixture(scope="module")
def undisturbed(server, job) -> Path:
    run = job.parent / "undisturbed"
    assert server.run(job, run) == 0, Path(f"{run}.log").read_text()[-2000:]
    return run


def adapters(run: Path) -> list[bytes]:
    return [p.read_bytes() for p in sorted((run / "artifacts").glob("*.safetensors"))]


def test_killed_and_started_again(server, job, undisturbed):
    """The assistant is loaded anew, and nothing of the result differs."""
    run = job.parent / "killed"
    assert server.run(job, run, STUNE_FAULT="step.after_backward@5=kill") == -signal.SIGKILL
    assert server.run(job, run) == 0
    assert len(adapters(run)) == 2
    assert adapters(run) == adapters(undisturbed)
    last = f"checkpoints/step-{STEPS:08d}/trainable.safetensors"
    assert (run / last).read_bytes() == (undisturbed / last).read_bytes()


def test_it_helps_training_and_draws_nothing(server, job, undisturbed):
    """Without it the first picture is the same, and what is learned is not."""
    run = job.parent / "alone"
    assert server.run(job, run, "--set", "model.assistant.enabled=false") == 0
    picture = "samples/step-00000000/000.png"
    assert (run / picture).read_bytes() == (undisturbed / picture).read_bytes()
    assert adapters(run) != adapters(undisturbed)
    drawn = job.parent / "drawn"
    seen = "model.assistant.inference_strength=1.0"
    assert server.run(job, drawn, "--set", seen, "--set", "train.steps=1") == 0
    assert (drawn / picture).read_bytes() != (run / picture).read_bytes()


@pytest.mark.parametrize("change", ["strength=0.5", "enabled=false"])
def test_another_assistant_is_another_run(server, job, undisturbed, change):
    """A checkpoint is not continued with other help than it was made with."""
    steps = ["--set", "train.steps=8"]
    assert server.run(job, undisturbed, "--set", f"model.assistant.{change}", *steps) == 4
    found = json.loads((undisturbed / "exit.json").read_text())["finding"]
    assert found["code"] == "RUN005"
    assert found["evidence"]["fields"] == ["assistant"]


def test_a_missing_one_ends_the_start(server, job):
    """Told by lint, with the key that named it."""
    run = job.parent / "missing"
    code = server.run(job, run, "--set", "model.assistant.weight_name=other.safetensors")
    assert code != 0
    assert "CFG210" in Path(f"{run}.log").read_text()
