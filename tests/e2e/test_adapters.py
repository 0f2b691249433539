"""Every kind of adapter through the real loop: exact resume, and other adapters in its pictures."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from safetensors.torch import load_file

from tests.support.pictures import make_folder
from tests.support.train_server import TrainServer

STEPS = 4
CLASSES = {  # of Flux; every LyCORIS algorithm trains some of its layers
    "FluxAttention": "loha",
    "FeedForward": "lokr",
    "AdaLayerNormZero": "full",
    "AdaLayerNormZeroSingle": "ia3",
    "FluxSingleTransformerBlock": "dylora",
    "TimestepEmbedding": "diag-oft",
    "PixArtAlphaTextProjection": "boft",
    "AdaLayerNormContinuous": "glora",
}
OVERRIDES = ", ".join(f"{{module = '{name}', algo = '{algo}'}}" for name, algo in CLASSES.items())
KINDS = {
    "dora": ["adapter.dora=true", "adapter.dropout=0.1"],
    "pissa": ["adapter.init='pissa_niter_2'", "adapter.lora_plus_ratio=4.0"],
    "olora": ["adapter.init='olora'", "optimizer.name='adamw_bf16'"],
    "lycoris": [
        "adapter.kind='lycoris'",
        "adapter.lycoris.algo='lora'",
        "adapter.lycoris.factor=4",
        "adapter.lycoris.modules=['FluxTransformer2DModel']",
        f"adapter.lycoris.overrides=[{OVERRIDES}]",
        "adapter.dora=true",
    ],
}


@pytest.fixture(scope="module")
def server() -> Iterator[TrainServer]:
    made = TrainServer()
    yield made
    made.close()


@pytest.fixture(scope="module")
def job(tmp_path_factory, tiny_model) -> Path:
    root = tmp_path_factory.mktemp("adapters")
    make_folder(root / "a", 4)
    config = root / "job.toml"
    config.write_text(f"""
[job]
name = "adapters"
[model]
family = "flux"
path = "{tiny_model("flux")}"
max_tokens = 32
[adapter]
rank = 4
alpha = 2.0
[train]
steps = {STEPS}
batch_size = 1
[optimizer]
lr = 1e-2
[ema]
enabled = true
decay = 0.5
[data.defaults]
resolution = "64px2"
[[data.datasets]]
id = "a"
path = "a"
[cache]
root = "{root / "cache"}"
[checkpoint]
every_steps = 2
[compute]
device = "cpu"
precision.dtype = "bf16"
[debug]
log_every = 1
""")
    return config


def result(run: Path) -> dict[str, bytes]:
    last = run / "checkpoints" / f"step-{STEPS:08d}"
    files = [last / f"{name}.safetensors" for name in ("trainable", "optimizer", "ema")]
    made = sorted((run / "artifacts").glob("*.safetensors"))
    assert made
    assert not any(path.name.startswith("bad-") for path in made)
    return {str(f.relative_to(run)): f.read_bytes() for f in [*files, *made, run / "metrics.jsonl"]}


@pytest.mark.parametrize("kind", KINDS)
def test_killed_and_started_again_ends_with_the_same_bytes(server, job, kind):
    """Under bf16 autocast and checkpointing, with an average: weights, optimiser, files, losses."""
    changes = [part for change in KINDS[kind] for part in ("--set", change)]
    whole, run = job.parent / f"{kind}-whole", job.parent / f"{kind}-killed"
    assert server.run(job, whole, *changes) == 0, Path(f"{whole}.log").read_text()[-2000:]
    fault = "step.after_backward@4=kill"
    assert server.run(job, run, *changes, STUNE_FAULT=fault) == -signal.SIGKILL
    assert server.run(job, run, *changes, STUNE_FAULT="") == 0, Path(f"{run}.log").read_text()
    assert result(run) == result(whole)
    if kind == "lycoris":
        names = {key.partition(".")[2] for key in load_file(next((run / "artifacts").glob("*")))}
        marks = {"lora_up.weight", "hada_w1_a", "lokr_w1", "diff", "on_input", "oft_blocks"}
        assert marks | {"a1.weight", "dora_scale"} <= names


@pytest.mark.parametrize("change", ["adapter.alpha=4.0", "adapter.rslora=true"])
def test_another_scale_is_another_run(server, job, change):
    """What the same names and shapes do not tell is compared as well, and named."""
    run = job.parent / "scale"
    if not run.exists():
        assert server.run(job, run) == 0
    assert server.run(job, run, "--set", change, "--set", "train.steps=6") == 4
    assert '"adapter"' in (run / "exit.json").read_text()


def test_pictures_with_other_adapters(server, job):
    """Each set is drawn with the same seeds and named: with the trained adapter, with another one
    as well, and with that alone, which at the start of a run is all that acts."""
    first = job.parent / "other"
    changes = ["--set", "train.steps=1", "--set", "optimizer.lr=0.5"]
    assert server.run(job, first, *changes) == 0, Path(f"{first}.log").read_text()[-2000:]
    other = first / "artifacts" / "pytorch_lora_weights.safetensors"
    run = job.parent / "drawn"
    sets = f"{{path = '{other}'}}, {{path = '{other}', name = 'alone', together = false}}"
    validation = [f"adapters=[{sets}]", "prompts=['a cat']", "steps=1", "adapter_strength=0.5"]
    changes = [part for v in validation for part in ("--set", f"validation.{v}")]
    changes += ["--set", "adapter.kind='lycoris'", "--set", "train.steps=2"]
    assert server.run(job, run, *changes) == 0, Path(f"{run}.log").read_text()[-2000:]
    for step in (0, 2):
        folder = run / "samples" / f"step-{step:08d}"
        entries = json.loads((folder / "meta.json").read_text())["images"]
        assert [e.get("adapter") for e in entries] == [None, "pytorch_lora_weights", "alone"]
        assert len({e["seed"] for e in entries}) == 1
        plain, both, alone = ((folder / e["file"]).read_bytes() for e in entries)
        assert plain != alone
        assert (both == alone) is (step == 0)
