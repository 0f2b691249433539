"""lint, fix, explain, config and preset: the light core behind the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sttui.cli.source import MAX_STDIN_BYTES
from tests.unit.sttui.cli.conftest import Run

TYPO = '[model]\nfamly = "flux"  # keep me\n\n[train]\nsteps = 10\n'


@pytest.fixture
def job(tmp_path: Path) -> Path:
    path = tmp_path / "job.toml"
    path.write_text(TYPO)
    return path


def test_lint_tells_place_reason_and_remedy(run: Run, job: Path) -> None:
    """Findings on stderr for people, exit code 1, stdout stays empty."""
    result = run("lint", str(job))
    assert result.code == 1
    assert result.out == ""
    assert f"{job}:2" in result.err
    assert "did you mean model.family" in result.err


def test_lint_as_json_is_one_document(run: Run, job: Path) -> None:
    """The findings are the data; the exit code is the same."""
    result = run("lint", str(job), "--json")
    document = json.loads(result.out)
    assert result.code == 1
    assert document["schema"] == "lint/1"
    assert document["data"][0]["code"] == "CFG004"
    assert document["data"] == document["findings"]


def test_fail_on_sets_the_bar(run: Run, job: Path) -> None:
    """A level that does not exist is a usage error."""
    assert run("lint", str(job), "--fail-on", "fatal").code == 2


@pytest.mark.parametrize(
    ("argv", "stdin", "code", "said"),
    [
        (["lint"], b"", 2, "name a job file"),
        (["lint", "-"], b"", 2, "standard input is empty"),
        (["lint", "-"], b"\xff\xfe", 2, "not UTF-8"),
        (["lint", "-"], b"#" * (MAX_STDIN_BYTES + 1), 2, "larger than 1 MiB"),
        (["lint", "-"], b"{bad json", 1, "CFG003"),
        (["lint", "/nonexistent.toml"], b"", 1, "CFG001"),
        (["lint", "/"], b"", 1, "CFG001"),
        (["lint", "--preset", "demo/pretrian"], b"", 1, "demo/pretrain"),
        (["explain", "optimizer.lrr"], b"", 2, "optimizer.lr"),
        (["preset", "show", "demo/pretrian"], b"", 2, "demo/pretrain"),
        (["fix", "/nonexistent.toml"], b"", 1, "CFG001"),
    ],
)
def test_bad_input_is_a_finding(
    run: Run, argv: list[str], stdin: bytes, code: int, said: str
) -> None:
    """Never a traceback; usage mistakes end with 2, bad job files with 1."""
    result = run(*argv, stdin=stdin)
    assert (result.code, result.out) == (code, "")
    assert said in result.err
    assert "Traceback" not in result.err


@pytest.mark.parametrize("text", [TYPO, '{"model": {"famly": "flux"}}', "model:\n  famly: flux\n"])
def test_the_format_of_standard_input_is_detected(run: Run, text: str) -> None:
    """TOML, JSON and YAML lead to the same finding."""
    assert "model.famly" in run("lint", "-", stdin=text.encode()).err


def test_fix_keeps_comments_and_is_idempotent(run: Run, job: Path) -> None:
    """The dry run shows the same change and writes nothing."""
    dry = run("fix", str(job), "--dry-run")
    assert "+family = " in dry.out
    assert job.read_text() == TYPO
    assert run("fix", str(job)).out == dry.out
    fixed = job.read_text()
    assert "# keep me" in fixed or "family" in fixed
    assert run("fix", str(job)).out == ""
    assert job.read_text() == fixed


def test_every_code_and_key_can_be_explained(run: Run) -> None:
    """By code, by full key, and as data."""
    assert "ENV101" in run("explain", "env101").out
    data = json.loads(run("explain", "optimizer.lr", "--json").out)["data"]
    assert data["key"] == "optimizer.lr"
    assert data["type"]
    assert "optimizer.lr" in run("explain", "optimizer.lr").out


def test_config_show_tells_where_values_come_from(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """File and line, environment, command line, built-in."""
    path = tmp_path / "j.toml"
    path.write_text('preset = "demo/pretrain"\n[train]\nsteps = 7\n')
    monkeypatch.setenv("STUNE_SET__train__batch_size", "3")
    args = ("config", "show", str(path), "--origin", "--set", "job.seed=5")
    shown = {line.split()[0]: line for line in run(*args).out.splitlines()}
    assert f"file {path}:3" in shown["train.steps"]
    assert "environment" in shown["train.batch_size"]
    assert shown["job.seed"].split()[1:] == ["5", "command", "line", "--set", "job.seed"]
    assert "preset" in shown["model.family"]
    rows = json.loads(run(*args, "--json").out)["data"]
    assert {"key": "train.steps", "value": 7, "origin": f"file {path}:3"} in rows


def test_unset_forgets_a_key_of_the_file(run: Run, tmp_path: Path) -> None:
    """The default takes its place."""
    path = tmp_path / "j.toml"
    path.write_text('preset = "demo/pretrain"\n[job]\nseed = 7\n')
    args = ("config", "show", str(path), "--json", "--unset", "job.seed")
    rows = {row["key"]: row["value"] for row in json.loads(run(*args).out)["data"]}
    assert rows["job.seed"] == 42


def test_schema_goes_out_unwrapped(run: Run) -> None:
    """An editor reads the JSON Schema itself."""
    schema = json.loads(run("config", "schema").out)
    assert schema["$schema"].startswith("https://json-schema.org")
    assert "model" in schema["properties"]


def test_presets_are_listed_shown_and_saved(run: Run, tmp_path: Path, home: Path) -> None:
    """A saved job file is a preset from then on; replacing it needs an answer."""
    text = run("preset", "show", "demo/pretrain").out
    assert "[model]" in text
    path = tmp_path / "mine.toml"
    path.write_text('preset = "demo/pretrain"\n')
    assert run("preset", "save", str(path), "demo/mine").code == 0
    assert "demo/mine" in run("preset", "ls", "-o", "id").out.split()
    again = run("preset", "save", str(path), "demo/mine")
    assert again.code == 2
    assert "--yes" in again.err
    assert run("preset", "save", str(path), "demo/mine", "--yes").code == 0
    assert run("preset", "save", str(path), "../evil").code == 2
