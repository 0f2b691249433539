"""Training without a daemon: progress, results, stopping, failing."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from sttui.cli import foreground
from tests.support import scripted_trainer
from tests.support.cli import until
from tests.unit.sttui.cli.conftest import Run

ROOT = Path(__file__).resolve().parents[4]
FAKE = (sys.executable, scripted_trainer.__file__)
JOB = 'preset = "demo/pretrain"\n[job]\nname = "t"\n[train]\nsteps = 6\n[schedule]\nwarmup = 0\n'


@pytest.fixture
def job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(foreground, "COMMAND", FAKE)
    monkeypatch.setattr(foreground, "require_trainer", lambda: None)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    path = tmp_path / "job.toml"
    path.write_text(JOB)
    return path


def test_a_run_prints_progress_on_stderr_and_results_on_stdout(
    run: Run, job: Path, tmp_path: Path
) -> None:
    """Figures before and after, and the paths; the log holds what the trainer printed."""
    result = run("train", str(job), "--out", str(tmp_path / "out"))
    assert result.code == 0, result.err
    assert "1 → 0.25" in result.out
    assert str(tmp_path / "out" / "artifacts" / "a.safetensors") in result.out
    assert "step 1/6" in result.err
    assert "step 6/6" in result.err
    assert "step 6 of 6" in (tmp_path / "out" / "logs" / "train.log").read_text()
    assert (tmp_path / "out" / "config.toml").read_text() == JOB
    assert json.loads((tmp_path / "out" / "effective.json").read_text())["train"]["steps"] == 6


def test_json_is_one_document_with_the_same_figures(run: Run, job: Path, tmp_path: Path) -> None:
    """Schema train/1; overrides reach the trainer."""
    out = str(tmp_path / "out")
    result = run("train", str(job), "--out", out, "--json", "--set", "train.steps=2")
    document = json.loads(result.out)
    assert document["schema"] == "train/1"
    assert document["data"]["step"] == 2
    assert (document["data"]["loss_before"], document["data"]["loss_after"]) == (1.0, 0.25)


def test_a_failed_run_tells_the_finding_and_where_the_log_is(
    run: Run, job: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Numeric failure (77) is exit code 6 here; the finding is told once."""
    monkeypatch.setenv("SCRIPTED_EXIT", "77")
    result = run("train", str(job), "--out", str(tmp_path / "out"))
    assert result.code == 6
    assert result.err.count("RUN007") == 1
    assert "train.log" in result.err


def test_a_trainer_that_dies_without_a_word_shows_the_end_of_its_log(
    run: Run, job: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No exit record: the last lines of the log are the explanation."""
    code = "import sys; sys.exit('cannot load the thing')"
    monkeypatch.setattr(foreground, "COMMAND", (sys.executable, "-c", code))
    result = run("train", str(job), "--out", str(tmp_path / "out"))
    assert result.code == 6
    assert "cannot load the thing" in result.err
    assert "Traceback" not in result.err


def test_an_invalid_job_starts_nothing(run: Run, job: Path, tmp_path: Path) -> None:
    """Exit code 1 and no run directory."""
    result = run("train", str(job), "--out", str(tmp_path / "out"), "--set", "train.steps=-1")
    assert result.code == 1
    assert "train.steps" in result.err
    assert not (tmp_path / "out").exists()


def test_missing_training_packages_are_a_finding(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The base installation cannot train and says what to install."""
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    path = tmp_path / "job.toml"
    path.write_text(JOB)
    result = run("train", str(path))
    assert result.code == 1
    assert "ENV121" in result.err
    assert "[train]" in result.err


def num_rows(path: Path) -> int:
    return len(path.read_text().splitlines()) if path.exists() else 0


WRAPPER = """
import sys
from sttui.cli import foreground
foreground.COMMAND = ({python!r}, {fake!r})
foreground.require_trainer = lambda: None
from sttui.cli.main import main
sys.exit(main(sys.argv[1:]))
"""


def test_ctrl_c_checkpoints_and_the_same_command_continues(job: Path, tmp_path: Path) -> None:
    """One interrupt: exit code 5, the trainer stopped at a step; again: it goes on from there."""
    out = tmp_path / "out"
    code = WRAPPER.format(python=FAKE[0], fake=FAKE[1])
    line = [sys.executable, "-c", code, "train", str(job), "--out", str(out), "--json"]
    env = os.environ | {"SCRIPTED_HOLD": str(tmp_path / "go"), "PYTHONPATH": str(ROOT)}
    child = subprocess.Popen(line, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    until(lambda: num_rows(out / "metrics.jsonl") == 3)
    child.send_signal(signal.SIGINT)
    stdout, _ = child.communicate(timeout=60)
    assert child.returncode == 5
    assert json.loads(stdout)["data"]["status"] == "preempted"
    (tmp_path / "go").touch()
    again = subprocess.run(line, env=env, capture_output=True, timeout=60)
    assert again.returncode == 0
    assert json.loads(again.stdout)["data"]["step"] == 6
    assert b"resumed at step 3" in again.stderr
