"""The cache of a real run through the real command line: stat, why, verify, gc, export, import."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.support.cli import Home, cli_home
from tests.support.pictures import make_folder
from trainer.config.presets import BUILT_IN
from trainer.runs.events import read_events

JOB = """
model.family = "flux"
model.path = "{model}"
train.steps = 1
train.batch_size = 2
adapter.rank = 2
compute.device = "cpu"
compute.precision.dtype = "fp32"
data.workers = 0
data.defaults.resolution = "64px2"
cache.dtype = "{dtype}"
[[data.datasets]]
id = "apples"
path = "{pictures}"
"""


@pytest.fixture(scope="module")
def home() -> Iterator[Home]:
    with cli_home(HF_HUB_OFFLINE="1", OMP_NUM_THREADS="1") as home:
        make_folder(home.path / "apples", 6)
        yield home


def job(home: Home, dtype: str = "fp32") -> Path:
    path = home.path / f"job-{dtype}.toml"
    model, pictures = BUILT_IN / "demo" / "model", home.path / "apples"
    path.write_text(JOB.format(model=model, pictures=pictures, dtype=dtype))
    return path


def train(home: Home, run: Path, path: Path, *settings: str) -> dict[str, int]:
    """Train; how many entries of each kind were encoded."""
    command = [sys.executable, "-m", "trainer", "train", str(path), "--run-dir", str(run)]
    for setting in settings:
        command += ["--set", setting]
    before = len(list(read_events(run / "events.jsonl"))) if run.exists() else 0
    done = subprocess.run(command, env=home.env, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    events = list(read_events(run / "events.jsonl"))[before:]
    progress = [e for e in events if e["kind"] == "cache.progress"]
    return {e["store"]: e["total"] for e in progress if e["store"] in ("latents", "text")}


def ask(home: Home, *argv: str, code: int = 0) -> Any:
    done = home.stune("cache", *argv, "--json")
    assert done.code == code, done.err
    return json.loads(done.out)


def test_life_of_a_cache(home: Home) -> None:
    """Encoded by one run, explained, checked, damaged and repaired, sent elsewhere, cleared."""
    run = home.path / "run"
    assert train(home, run, job(home)) == {"latents": 6, "text": 10}

    # who uses what
    shown = home.stune("cache", "stat")
    assert shown.code == 0, shown.err
    assert "latents" in shown.out
    document = ask(home, "stat")
    assert document["entries"] == 16
    assert {r["dataset"] for r in document["references"]} >= {"apples"}
    latents = next(s for s in document["data"] if s["kind"] == "latents")
    assert latents["parts"]["dtype"] == "float32"

    # an edited picture, and a job that would keep something else
    picture = home.path / "apples" / "p003.png"
    Image.new("RGB", (64, 64), (3, 2, 1)).save(picture)
    rows = ask(home, "why", str(picture))["data"]
    to_come = [row for row in rows if row["state"] == "to be encoded"]
    assert [row["changed"] for row in to_come] == [["content"]]
    untouched = str(home.path / "apples" / "p001.png")
    other = ask(home, "why", untouched, "--job", str(job(home, "bf16")))
    changed = [row["changed"] for row in other["data"] if row["state"] == "to be encoded"]
    assert changed == [["encoder precision"]]
    same = ask(home, "why", untouched, "--job", str(job(home)))
    assert all(row["state"] == "stored" for row in same["data"])
    assert train(home, home.path / "second", job(home)) == {"latents": 1}

    # to another place
    file = home.path / "cache.tar"
    assert ask(home, "export", str(file), "--dataset", "apples")["data"]["entries"] == 17
    elsewhere = str(home.path / "elsewhere")
    assert ask(home, "import", str(file), "--root", elsewhere)["data"]["entries"] == 17
    assert ask(home, "verify", "--root", elsewhere)["data"]["damaged"] == []

    # damage
    shard = max((home.path / "elsewhere" / "latents").glob("*/*.st"))
    shard.write_bytes(shard.read_bytes()[:-1] + b"\0")
    found = ask(home, "verify", "--root", elsewhere, code=1)
    assert [f["code"] for f in found["findings"]] == ["DAT105"]
    ask(home, "verify", "--repair", "--root", elsewhere)
    settings = (f'cache.root="{elsewhere}"',)
    assert train(home, home.path / "third", job(home), *settings) == {"latents": 1}

    # all runs succeeded: what they used may go
    foreseen = ask(home, "gc", "--quota", "0", "--dry-run")["data"]
    cleared = ask(home, "gc", "--quota", "0")["data"]
    assert foreseen["entries"] == cleared["entries"] > 0
    assert cleared["bytes_after"] == 0


def test_mistakes_are_findings(home: Home) -> None:
    """No traceback, a reason and a remedy; exit code 1."""
    done = home.stune("cache", "stat", "--root", str(home.path / "nothing"))
    assert (done.code, done.out) == (1, "")
    assert "DAT110" in done.err
    assert "fix:" in done.err
    done = home.stune("cache", "gc", "--quota", "much")
    assert done.code == 2
