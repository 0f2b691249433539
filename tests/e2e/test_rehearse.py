"""A rehearsal runs everything that a run does, finds what would fail, and leaves nothing (B03)."""

from __future__ import annotations

import json
import shutil
import signal
from pathlib import Path

import pytest

from tests.support.families import kind_of
from tests.support.rehearsal import make_job, rehearse, tree_hash
from trainer.data.index import Index
from trainer.rehearse import phases

KIND = "flux"


@pytest.fixture
def job(tmp_path: Path, tiny_model) -> Path:
    return make_job(tmp_path, KIND, tiny_model(KIND))


def test_all_phases_pass_quickly(job, capsys):
    """Status, seconds and peak of every phase, the whole within the budget."""
    done = rehearse(capsys, job)
    assert done.code == 0, done.findings
    assert done.data["status"] == "passed"
    for phase in done.data["phases"]:
        assert phase["status"] == "passed"
        assert phase["seconds"] >= 0
        assert phase["host_peak_bytes"] > 1 << 20
    assert done.data["seconds"] <= 60


def test_only_the_report_is_left(job, capsys):
    """Run root, shared cache and dataset are as before; no scratch folder stays beside them."""
    root = job.parent
    for folder in ("runs/one/checkpoints", "cache"):
        (root / folder).mkdir(parents=True)
        (root / folder / "kept").write_text("as it was")
    before = tree_hash(root)
    done = rehearse(capsys, job)
    assert done.code == 0, done.findings
    report = Path(done.data["report"])
    left = [p for p in (root / "home").rglob("*") if p.is_file()]
    assert left == [report]
    assert json.loads(report.read_text())["data"]["status"] == "passed"
    shutil.rmtree(root / "home")
    assert tree_hash(root) == before


def test_nothing_is_left_of_a_failed_one_either(job, capsys, monkeypatch):
    """A crash in the middle removes the scratch folders, too; they were there until then."""
    seen: list[str] = []

    def broken(*args, **kwargs):
        seen.extend(p.name for p in job.parent.rglob(".rehearsal-*"))
        raise RuntimeError("no step today")

    before = tree_hash(job.parent)
    monkeypatch.setattr(phases, "optimiser_step", broken)
    done = rehearse(capsys, job)
    assert len(seen) == 2
    shutil.rmtree(job.parent / "home")
    assert tree_hash(job.parent) == before
    assert (done.code, done.phase("train")["codes"]) == (1, ["RUN001"])


def test_an_interrupt_leaves_nothing(job, capsys, monkeypatch):
    """Ctrl-C in a step: exit 130, no scratch folder, no report."""
    before = tree_hash(job.parent)
    monkeypatch.setattr(phases, "optimiser_step", lambda *_: signal.raise_signal(signal.SIGINT))
    done = rehearse(capsys, job)
    assert (done.code, done.codes) == (130, {"RUN009"})
    assert tree_hash(job.parent) == before


def test_samples_are_few_and_of_every_bucket(job, capsys, monkeypatch):
    """At most N of each are read as a whole; the first step takes the largest bucket's batch."""
    read: list[str] = []
    hashed = Index._hash
    monkeypatch.setattr(
        Index, "_hash", lambda s, place: (read.append(place[0]), hashed(s, place))[1]
    )
    shapes: list[tuple[int, ...]] = []
    step = phases.optimiser_step

    def watched(parts, batches, number):
        batch = next(batches)
        shapes.append(tuple(batch.latents.shape))
        return step(parts, iter([batch]), number)

    monkeypatch.setattr(phases, "optimiser_step", watched)
    done = rehearse(capsys, job, "--samples", "1")
    assert done.code == 0, done.findings
    buckets = done.data["buckets"]
    assert [bucket["samples"] for bucket in buckets] == [1, 1]
    assert len(read) == 2
    areas = {area(bucket["name"]): bucket["largest"] for bucket in buckets}
    assert areas[max(areas)]
    assert sum(areas.values()) == 1
    batch, _, height, width = shapes[0]
    assert batch == 4  # as large as the job's, its one sample drawn again
    assert height * width * kind_of(KIND).factor ** 2 == max(areas)


def area(bucket: str) -> int:
    """Pixels of a bucket by its name, as a:32x64."""
    width, height = map(int, bucket.partition(":")[2].split("x"))
    return width * height
