"""Exact resume of everything that shapes a batch: mixing, masks, priors, sliders, fresh draws."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from tests.support.pictures import make_folder
from tests.support.train_server import TrainServer

STEPS = 10


@pytest.fixture(scope="module")
def server() -> Iterator[TrainServer]:
    made = TrainServer()
    yield made
    made.close()


@pytest.fixture(scope="module")
def job(tmp_path_factory, tiny_model) -> Path:
    """Streams by weight, one of them for a while; masks half of the time, random ones too; a
    prior set; two sides of a slider; crops by visit; latents drawn anew from what is kept."""
    root = tmp_path_factory.mktemp("mixed")
    make_folder(root / "a", 6, sizes=((64, 64), (160, 64)))
    (root / "masks").mkdir()
    for path in (root / "a").glob("*.png"):
        with Image.open(path) as picture:
            mask = Image.new("L", picture.size, 0)
            mask.paste(255, (0, 0, picture.width // 2, picture.height))
            mask.save(root / "masks" / path.name)
    for seed, name in enumerate("bcd", start=1):
        make_folder(root / name, 5, seed=seed)
    config = root / "job.toml"
    config.write_text(f"""
[job]
name = "mixed"
[model]
family = "sdxl"
path = "{tiny_model("sdxl")}"
[adapter]
rank = 4
[train]
steps = {STEPS}
batch_size = 2
accumulate = 2
[optimizer]
lr = 1e-3
[loss.mask]
probability = 0.5
[data]
mix = "stream"
[data.defaults]
resolution = "64px2"
crop = {{ position = "random", aspect = "square", variants = 3 }}
[data.defaults.caption]
dropout = 0.2
filters = ["thing", "s/apple/pear/"]
[[data.datasets]]
id = "a"
path = "a"
weight = 2.0
conditioning = [{{ dataset = "m", options = {{ invert = true }} }}, {{ generate = "random_masks" }}]
[[data.datasets]]
id = "m"
path = "masks"
role = "mask"
[[data.datasets]]
id = "b"
path = "b"
role = "prior"
active = {{ from_step = 3, to_step = 8 }}
[[data.datasets]]
id = "c"
path = "c"
slider = 1.0
batch_size = 3
[[data.datasets]]
id = "d"
path = "d"
slider = -1.0
[cache]
root = "{root / "cache"}"
latents = "distribution"
[checkpoint]
every_steps = 3
keep = 2
[compute]
device = "cpu"
precision.dtype = "fp32"
""")
    return config


def result(run: Path) -> dict[str, bytes]:
    last = run / "checkpoints" / f"step-{STEPS:08d}"
    files = [last / "trainable.safetensors", last / "optimizer.safetensors"]
    files += [*sorted((run / "artifacts").glob("*.safetensors")), run / "metrics.jsonl"]
    return {str(f.relative_to(run)): f.read_bytes() for f in files}


@pytest.fixture(scope="module")
def undisturbed(server, job) -> dict[str, bytes]:
    run = job.parent / "undisturbed"
    assert server.run(job, run) == 0, Path(f"{run}.log").read_text()
    made = result(run)
    assert b"prior_loss" in made["metrics.jsonl"]
    return made


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize(
    "fault",
    ["step.after_backward@7=kill", "step.after_optimizer@5=kill", "step.before_batch@9=kill"],
)
def test_killed_anywhere_ends_with_the_same_bytes(server, job, undisturbed, fault, workers):
    """Positions of streams, schedules, masks and posterior draws all continue where they were."""
    run = job.parent / f"{fault.partition('=')[0]}-{workers}".replace("@", "-")
    extra = ("--set", f"data.workers={workers}")
    assert server.run(job, run, *extra, STUNE_FAULT=fault) == -signal.SIGKILL
    assert server.run(job, run, *extra, STUNE_FAULT="") == 0, Path(f"{run}.log").read_text()
    assert result(run) == undisturbed
