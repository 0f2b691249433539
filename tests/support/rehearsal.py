"""Rehearsals in the test's own process: jobs on tiny models, and what is left on the disk."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any

from tests.support.families import edge, kind_of
from tests.support.pictures import make_folder
from trainer.__main__ import main


def make_job(root: Path, kind: str, model: Path, extra: str = "", count: int = 7) -> Path:
    """A job file on two buckets of a family, everything below `root`; `extra` comes last."""
    side = edge(kind)
    make_folder(root / "a", count, sizes=((side, side), (2 * side, side)))
    options = "".join(f"{k} = {json.dumps(v)}\n" for k, v in kind_of(kind).model.items())
    root.joinpath("job.toml").write_text(f"""
[job]
name = "rehearsed"
output_dir = "runs/one"
[model]
family = "{kind}"
path = "{model}"
{options}
[adapter]
rank = 4
[train]
steps = 50
batch_size = 4
[data.defaults]
resolution = "{side}px2"
[[data.datasets]]
id = "a"
path = "a"
[cache]
root = "cache"
[validation]
prompts = ["a red apple", "a green one"]
steps = 5
[compute]
device = "cpu"
precision.dtype = "fp32"
{extra}""")
    return root / "job.toml"


@dataclass(frozen=True)
class Answer:
    """The document of a rehearsal and its exit code."""

    code: int
    data: dict[str, Any]
    findings: list[dict[str, Any]]

    @property
    def codes(self) -> set[str]:
        return {found["code"] for found in self.findings}

    def phase(self, name: str) -> dict[str, Any]:
        return next(phase for phase in self.data["phases"] if phase["name"] == name)

    def effect(self, option: str) -> dict[str, Any]:
        return next(effect for effect in self.data["effects"] if effect["option"] == option)


def rehearse(capsys: Any, job: Path, *args: str) -> Answer:
    """`python -m trainer rehearse`, without the start of a process."""
    capsys.readouterr()
    with own_signals():
        code = main(["rehearse", str(job), *args])
    out, _ = capsys.readouterr()
    document = json.loads(out)
    assert document["schema"] == "rehearsal/1"
    return Answer(code, document["data"], document["findings"])


def train(job: Path, run: Path, *args: str) -> tuple[int, str]:
    """`python -m trainer train`; its exit code and the last metric line."""
    with own_signals():
        code = main(["train", str(job), "--run-dir", str(run), *args])
    metrics = run / "metrics.jsonl"
    return code, metrics.read_text().splitlines()[-1] if metrics.exists() else ""


@contextmanager
def own_signals() -> Iterator[None]:
    """Within the block the handlers may be set; afterwards they are as before."""
    heard = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)
    kept = {number: signal.getsignal(number) for number in heard}
    try:
        yield
    finally:
        for number, handler in kept.items():
            signal.signal(number, handler)


def tree_hash(root: Path) -> str:
    """Of all names and contents below a folder."""
    hasher = blake2b(digest_size=16)
    for path in sorted(root.rglob("*")):
        hasher.update(f"{path.relative_to(root)}|{path.is_dir()}|".encode())
        if path.is_file():
            hasher.update(path.read_bytes())
    return hasher.hexdigest()
