"""`stune import`: what goes to stdout, what to stderr, what to a file, and the exit code."""

from __future__ import annotations

import csv
import io
import json
import tomllib
from pathlib import Path
from typing import Any

import pytest

from tests.unit.sttui.cli.conftest import Run

CONFIG: dict[str, Any] = {
    "model_family": "flux",
    "model_type": "lora",
    "max_train_steps": 100,
    "num_processes": 2,
    "train_batch_size": 3,
    "base_model_precision": "int8-quanto",
    "seed": 7,
    "nonsense": 1,
    "report_to": "none",
}


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "st" / "config"
    folder.mkdir(parents=True)
    (tmp_path / "st" / "pictures").mkdir()
    (folder / "config.json").write_text(json.dumps(CONFIG, indent=1))
    entry = {"id": "a", "type": "local", "instance_data_dir": "pictures"}
    (folder / "multidatabackend.json").write_text(json.dumps([entry]))
    return folder


def test_the_job_goes_to_stdout_and_the_report_to_stderr(run: Run, source: Path) -> None:
    """So that `stune import … > job.toml` is a job."""
    result = run("import", str(source))
    job = tomllib.loads(result.out)
    assert result.code == 0
    assert job["train"] == {"steps": 100, "batch_size": 3, "accumulate": 2}
    assert "accumulate = 2 # 2 devices" in result.out
    assert "approximated (1)" in result.err
    assert "unsupported (1)" in result.err
    assert "nonsense" in result.err
    assert "effective batch" in result.err


def test_with_to_the_job_is_a_file_and_the_report_the_answer(
    run: Run, source: Path, tmp_path: Path
) -> None:
    """And the file passes lint, as the exit code said."""
    out = tmp_path / "job.toml"
    result = run("import", str(source), "--to", str(out))
    assert result.code == 0
    assert tomllib.loads(out.read_text())["job"] == {"seed": 7}
    lines = result.out.splitlines()
    assert lines[0].startswith("mapped (")
    heads = [line.split(" (")[0] for line in lines if line and not line.startswith(" ")]
    assert heads[:5] == ["mapped", "approximated", "unsupported", "ignored", "what the run means"]
    assert any("effective batch" in line and "6" in line for line in lines)
    assert "written out" in result.out
    assert run("lint", str(out)).code == 0


def test_an_existing_file_is_not_replaced_unasked(run: Run, source: Path, tmp_path: Path) -> None:
    """The file stays as it is; --yes replaces it."""
    out = tmp_path / "job.toml"
    out.write_text("mine")
    refused = run("import", str(source), "--to", str(out))
    assert (refused.code, out.read_text()) == (2, "mine")
    assert "--yes" in refused.err
    assert run("import", str(source), "--to", str(out), "--yes").code == 0
    assert "Imported from SimpleTuner" in out.read_text()


def test_json_is_one_document(run: Run, source: Path, tmp_path: Path) -> None:
    """Job, keys, figures and findings; the file is written as well."""
    out = tmp_path / "job.toml"
    result = run("import", str(source), "--to", str(out), "--json")
    document = json.loads(result.out)
    data = document["data"]
    assert (result.code, document["schema"]) == (0, "import/1")
    assert data["config"] == tomllib.loads(out.read_text())
    by_key = {k["key"]: k for k in data["keys"]}
    assert {"key", "status", "to", "note"} <= by_key["seed"].keys()
    assert by_key["seed"]["to"] == "job.seed"
    assert by_key["nonsense"]["where"].endswith("config.json:9")
    assert set(by_key) == {
        *CONFIG,
        *(f"datasets[0].{k}" for k in ("id", "type", "instance_data_dir")),
    }
    assert data["semantics"]["effective_batch"] == {
        "source": 6,
        "here": 6,
        "equal": True,
        "note": "3 samples x 1 accumulated x 2 devices",
    }
    assert {f["code"] for f in document["findings"]} >= {"IMP004", "IMP005"}


def test_other_formats_list_the_keys(run: Run, source: Path) -> None:
    """For tables, and for scripts."""
    rows = list(csv.DictReader(io.StringIO(run("import", str(source), "-o", "csv").out)))
    assert {"key": "seed", "status": "mapped"}.items() <= rows[6].items()
    assert "seed" in run("import", str(source), "-o", "id").out.split()
    assert run("import", str(source), "--fields", "key,to").out.startswith("KEY")


def test_errors_of_the_job_end_with_1(run: Run, source: Path, tmp_path: Path) -> None:
    """The file is written all the same, to be mended."""
    config = CONFIG | {"model_family": "wan"}
    (source / "config.json").write_text(json.dumps(config))
    out = tmp_path / "job.toml"
    result = run("import", str(source), "--to", str(out))
    assert result.code == 1
    assert "CFG011" in result.err
    assert tomllib.loads(out.read_text())["model"]["family"] == "wan"
    as_json = run("import", str(source), "--json")
    assert (as_json.code, json.loads(as_json.out)["schema"]) == (1, "import/1")


@pytest.mark.parametrize(
    ("argv", "code", "said"),
    [
        (["import"], 2, "missing argument"),
        (["import", "/nonexistent.json"], 1, "IMP001"),
        (["import", "/nonexistent.json", "--json"], 1, "IMP001"),
        (["import", "."], 1, "IMP002"),
    ],
)
def test_nothing_to_import(
    run: Run, argv: list[str], code: int, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The reason, never a traceback."""
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")
    result = run(*argv)
    assert result.code == code
    assert said in result.err
    assert "Traceback" not in result.err


def test_files_may_be_named_apart(run: Run, source: Path) -> None:
    """A configuration and a dataset file of any names."""
    (source / "config.json").rename(source / "mine.json")
    (source / "multidatabackend.json").rename(source / "sets.json")
    result = run("import", str(source / "mine.json"), str(source / "sets.json"))
    assert result.code == 0
    assert tomllib.loads(result.out)["data"]["datasets"][0]["id"] == "a"
