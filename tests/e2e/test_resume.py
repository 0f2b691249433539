"""Exact resume: a run killed anywhere and started again ends with the same bytes (B01)."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.pictures import make_folder
from tests.support.train_server import TrainServer

STEPS = 12


@pytest.fixture(scope="module")
def server() -> Iterator[TrainServer]:
    made = TrainServer()
    yield made
    made.close()


@pytest.fixture(scope="module")
def job(tmp_path_factory, tiny_model) -> Path:
    """Two datasets with other repeats, three buckets, accumulation, dropout, EMA, validation."""
    root = tmp_path_factory.mktemp("resume")
    make_folder(root / "a", 7, sizes=((64, 64), (128, 64)))
    make_folder(root / "b", 5, sizes=((64, 64), (64, 128)), seed=1)
    config = root / "job.toml"
    config.write_text(f"""
[job]
name = "resume"
[model]
family = "flux"
path = "{tiny_model("flux")}"
max_tokens = 32
[adapter]
rank = 4
dropout = 0.1
[train]
steps = {STEPS}
batch_size = 2
accumulate = 2
[optimizer]
lr = 1e-3
[schedule]
name = "cosine"
warmup = 2
[ema]
enabled = true
decay = 0.7
[data.defaults]
resolution = "64px2"
caption.dropout = 0.2
crop.position = "random"
[[data.datasets]]
id = "a"
path = "a"
repeats = 2
[[data.datasets]]
id = "b"
path = "b"
[cache]
root = "{root / "cache"}"
batch_size = 3
[validation]
prompts = ["a red apple"]
every_steps = 4
steps = 1
[checkpoint]
every_steps = 3
keep = 2
[compute]
device = "cpu"
precision.dtype = "fp32"
[debug]
log_every = 2
""")
    return config


@pytest.fixture(scope="module")
def undisturbed(server, job) -> dict[str, bytes]:
    run = job.parent / "undisturbed"
    assert server.run(job, run) == 0, Path(f"{run}.log").read_text()
    return result(run)


def result(run: Path) -> dict[str, bytes]:
    """Every byte that must be equal: adapters, averages, optimiser state, metrics, pictures."""
    last = run / "checkpoints" / f"step-{STEPS:08d}"
    names = ["trainable.safetensors", "optimizer.safetensors", "optimizer.json", "ema.safetensors"]
    files = [last / name for name in [*names, "progress.json"]]
    files += sorted((run / "artifacts").glob("*.safetensors"))
    files += [run / "metrics.jsonl", run / "samples" / f"step-{STEPS:08d}" / "000.png"]
    return {str(f.relative_to(run)): f.read_bytes() for f in files}


def run_to_end(server: TrainServer, job: Path, run: Path, fault: str = "", *args: str) -> int:
    """Start again until it ends by itself; returns how often it was killed."""
    kills = 0
    code = server.run(job, run, *args, STUNE_FAULT=fault)
    while code == -signal.SIGKILL:
        kills += 1
        assert kills < 4
        code = server.run(job, run, *args, STUNE_FAULT="")
    assert code == 0, Path(f"{run}.log").read_text()[-2000:]
    return kills


POINTS = [
    "step.before_batch@1",
    "step.before_batch@8",
    "step.before_batch@12",
    "step.after_forward@13",
    "step.after_backward@9",
    "step.after_optimizer@5",
    "loader.prefetch@11",
    "ckpt.after_trainable@2",
    "ckpt.after_optimizer_tensors@2",
    "ckpt.after_optimizer@2",
    "ckpt.after_ema@3",
    "ckpt.after_progress@2",
    "ckpt.before_manifest@2",
    "ckpt.after_manifest@2",
    "ckpt.after_rename@2",
    "ckpt.during_prune@1",
    "validate.sample@3",
]


@pytest.mark.parametrize("point", POINTS)
def test_killed_anywhere_ends_with_the_same_bytes(server, job, undisturbed, point):
    """SIGKILL at a named point, start again: nothing of the result differs."""
    run = job.parent / point.replace("@", "-")
    assert run_to_end(server, job, run, f"{point}=kill") == 1
    assert result(run) == undisturbed


def test_event_numbers_have_no_gap_after_a_kill(server, job, undisturbed):
    """The second attempt continues the numbering of the first."""
    run = job.parent / "events"
    run_to_end(server, job, run, "step.after_backward@9=kill")
    events = [json.loads(line) for line in (run / "events.jsonl").read_text().splitlines()]
    assert [e["seq"] for e in events] == list(range(1, len(events) + 1))
    starts = [e for e in events if e["kind"] == "run.start"]
    assert [e["resumed_step"] for e in starts] == [None, 3]


@pytest.mark.parametrize("workers", ["0", "2", "3"])
def test_worker_count_changes_nothing(server, job, undisturbed, workers):
    """Prefetch threads are speed only."""
    run = job.parent / f"workers-{workers}"
    assert server.run(job, run, "--set", f"data.workers={workers}") == 0
    assert result(run) == undisturbed


def test_killed_twice_in_one_epoch(server, job, undisturbed):
    """Two kills close together are as harmless as one."""
    run = job.parent / "twice"
    assert server.run(job, run, STUNE_FAULT="step.after_backward@9=kill") == -signal.SIGKILL
    assert server.run(job, run, STUNE_FAULT="step.after_optimizer@2=kill") == -signal.SIGKILL
    assert run_to_end(server, job, run) == 0
    assert result(run) == undisturbed


@pytest.mark.parametrize(
    "change",
    [
        "validation.enabled=false",
        "debug.log_every=5",
        "debug.log_level=debug",
        "validation.steps=2",
    ],
)
def test_looking_does_not_change_the_training(server, job, undisturbed, change):
    """Validation, log interval and log level leave every trained byte as it is."""
    run = job.parent / change.replace(".", "-").replace("=", "-")
    assert server.run(job, run, "--set", change) == 0
    trained = [k for k in undisturbed if not k.startswith("samples")]
    last = result_without_samples(run)
    assert {k: last[k] for k in trained} == {k: undisturbed[k] for k in trained}


def result_without_samples(run: Path) -> dict[str, bytes]:
    (run / "samples" / f"step-{STEPS:08d}").mkdir(parents=True, exist_ok=True)
    picture = run / "samples" / f"step-{STEPS:08d}" / "000.png"
    if not picture.exists():
        picture.write_bytes(b"")
    return result(run)


def test_signal_writes_a_checkpoint_and_resumes_exactly(server, job, undisturbed):
    """A stop command mid-run: exit 75 with a checkpoint at that step, then the same bytes."""
    run = job.parent / "stopped"
    assert server.run(job, run, STUNE_FAULT="step.after_optimizer@5=term") == 75
    record = json.loads((run / "exit.json").read_text())
    assert (record["status"], record["step"]) == ("preempted", 5)
    assert (run / "checkpoints" / "step-00000005").is_dir()
    assert server.run(job, run) == 0
    assert result(run) == undisturbed


def test_damaged_checkpoint_falls_back_and_says_so(server, job, undisturbed):
    """A flipped byte in the newest checkpoint: the one before is used, the event names it."""
    run = job.parent / "damaged"
    assert server.run(job, run, STUNE_FAULT="step.after_backward@17=kill") == -signal.SIGKILL
    newest = max((run / "checkpoints").glob("step-*"))
    data = bytearray((newest / "optimizer.safetensors").read_bytes())
    data[-1] ^= 1
    (newest / "optimizer.safetensors").write_bytes(data)
    assert server.run(job, run) == 0
    assert result(run) == undisturbed
    events = (run / "events.jsonl").read_text()
    assert "checkpoint.quarantined" in events
    assert (newest.parent / f"bad-{newest.name}").is_dir()


def test_no_whole_checkpoint_left_is_exit_6(server, job):
    """All checkpoints damaged: refused with code 6 and the reason, nothing deleted."""
    run = job.parent / "hopeless"
    assert server.run(job, run, STUNE_FAULT="step.after_backward@9=kill") == -signal.SIGKILL
    for folder in (run / "checkpoints").glob("step-*"):
        (folder / "manifest.json").write_text("{}")
    assert server.run(job, run) == 6
    assert json.loads((run / "exit.json").read_text())["finding"]["code"] == "RUN004"


def test_a_run_that_never_resumes_leaves_another_alone(server, job):
    """Checkpoints in the directory: refused with code 6 before any work, and all still there."""
    run = job.parent / "never"
    never = ["--set", 'checkpoint.resume="never"']
    assert server.run(job, run, *never, STUNE_FAULT="step.after_backward@9=kill") == -signal.SIGKILL
    kept = sorted(path.name for path in (run / "checkpoints").iterdir())
    assert server.run(job, run, *never) == 6
    assert json.loads((run / "exit.json").read_text())["finding"]["code"] == "RUN014"
    assert sorted(path.name for path in (run / "checkpoints").iterdir()) == kept


CHANGES = {
    "seed": "job.seed=7",
    "batch_size": "train.batch_size=1",
    "accumulate": "train.accumulate=1",
    "optimizer": 'optimizer.name="prodigy"',
    "trainable": "adapter.rank=8",
    "dataset": "data.defaults.crop.position=center",
    "ema": "ema.enabled=false",
    "precision": 'compute.precision.dtype="bf16"',
}


@pytest.mark.parametrize("field", sorted(CHANGES))
def test_another_run_in_the_same_directory_is_refused_by_name(server, job, field):
    """Each identity field that differs is refused with exit 4 and named."""
    run = job.parent / "identity"
    if not run.exists():
        assert server.run(job, run, STUNE_FAULT="step.after_backward@9=kill") == -signal.SIGKILL
    assert server.run(job, run, "--set", CHANGES[field]) == 4
    found = json.loads((run / "exit.json").read_text())["finding"]
    assert found["code"] == "RUN005"
    assert field in found["evidence"]["fields"]


def test_longer_run_and_other_prompts_are_no_other_run(server, job):
    """Steps, intervals and prompts may change between attempts."""
    run = job.parent / "longer"
    assert server.run(job, run, STUNE_FAULT="step.after_backward@9=kill") == -signal.SIGKILL
    changes = ["--set", "train.steps=14", "--set", "checkpoint.every_steps=5"]
    assert server.run(job, run, *changes, "--set", 'validation.prompts=["a blue thing"]') == 0


def test_full_disk_while_saving_keeps_the_last_checkpoint(server, job, undisturbed):
    """ENOSPC in the middle of a save: exit 70 with a finding, the next start resumes exactly."""
    run = job.parent / "full"
    assert server.run(job, run, STUNE_FAULT="ckpt.before_manifest@3=enospc") == 70
    record = json.loads((run / "exit.json").read_text())
    assert (record["reason"], record["finding"]["code"]) == ("disk_full", "RUN006")
    assert server.run(job, run) == 0
    assert result(run) == undisturbed
