"""The table of verbs is true, and wrong command lines are answered with the nearest right one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from sttui.__main__ import _interface_options
from sttui.cli.root import load
from sttui.cli.verbs import SECTIONS, VERBS
from tests.unit.sttui.cli.conftest import Run

ROOT = Path(__file__).resolve().parents[4]


@pytest.mark.parametrize("name", VERBS)
def test_help_line_equals_the_docstring(name: str) -> None:
    """The overview is printed without importing the verb, so the two texts could drift apart."""
    command = load(name)
    assert command.name == name
    assert (command.help or "").split("\n\n")[0].replace("\n", " ") == VERBS[name].help


def test_overview_lists_every_visible_verb_once(run: Run) -> None:
    """Sections hold all verbs; hidden ones stay hidden."""
    shown = run("--help")
    assert shown.code == 0
    lines = [line.split()[0] for line in shown.out.splitlines() if line.startswith("  ")]
    for name, entry in VERBS.items():
        assert lines.count(name) == (1 if entry.section else 0)
    assert {entry.section for entry in VERBS.values()} - {""} == set(SECTIONS)


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["subit"], "did you mean submit"),
        (["jbos"], "did you mean jobs"),
        (["zzzz"], "see stune --help"),
        (["jobs", "--wach"], "did you mean --watch"),
        (["config"], "missing command"),
        (["config", "shwo"], "did you mean show"),
        (["jobs", "-o", "tabel"], "not one of table"),
        (["jobs", "--state", "runing"], "not a job state"),
        (["metrics"], "missing argument"),
        (["jobs", "--limit", "many"], "--limit"),
    ],
)
def test_usage_mistakes(run: Run, argv: list[str], said: str) -> None:
    """Exit code 2, the reason on stderr, nothing on stdout."""
    result = run(*argv)
    assert result.code == 2
    assert said in result.err.lower()
    assert result.out == ""
    assert "Traceback" not in result.err


@pytest.mark.parametrize(
    "argv", [["subit", "--json"], ["--json", "subit"], ["jobs", "--json", "--x"]]
)
def test_with_json_the_mistake_is_a_finding_on_stdout(run: Run, argv: list[str]) -> None:
    """A program that reads stdout gets one document in every case."""
    result = run(*argv)
    document = json.loads(result.out)
    assert result.code == 2
    assert document["schema"] == "error/1"
    assert document["findings"][0]["code"] == "ENV112"


def test_common_options_work_before_and_after_the_verb(run: Run) -> None:
    """Both places mean the same."""
    assert run("--json", "version").out == run("version", "--json").out
    assert run("--version").out == run("version").out


def test_spec_names_every_verb_option_and_exit_code(run: Run) -> None:
    """Machine-readable help is complete."""
    data = json.loads(run("spec").out)["data"]
    singles = {name for name, entry in VERBS.items() if not entry.group}
    assert singles <= set(data["verbs"])
    assert "config show" in data["verbs"]
    assert data["verbs"]["dial-stdio"]["hidden"]
    flags = {flag for option in data["verbs"]["wait"]["options"] for flag in option["flags"]}
    assert {"--for", "--any", "--timeout"} <= flags
    assert set(data["exit_codes"]) >= {"0", "1", "2", "3", "4", "5", "6", "130"}


def test_a_defect_of_ours_is_a_finding_and_a_traceback_only_on_request(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An unexpected exception inside a verb."""

    def broken() -> str:
        raise RuntimeError("boom")

    monkeypatch.setattr("sttui.cli.about.version_text", broken)
    quiet, loud = run("version"), run("version", "--debug")
    assert quiet.code == loud.code == 6
    assert "ENV116" in quiet.err
    assert "boom" in quiet.err
    assert "Traceback" not in quiet.err
    assert "Traceback" in loud.err


def test_an_interrupt_ends_with_130(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C before any effect."""

    def interrupted() -> str:
        raise KeyboardInterrupt

    monkeypatch.setattr("sttui.cli.about.version_text", interrupted)
    assert run("version").code == 130


def program(*argv: str, **options: Any) -> subprocess.Popen[bytes]:
    pipe = subprocess.PIPE
    line = [sys.executable, "-m", "sttui", *argv]
    env = os.environ | {"PYTHONPATH": str(ROOT)}
    defaults = {"stdin": subprocess.DEVNULL, "stdout": pipe, "stderr": pipe, "env": env}
    return subprocess.Popen(line, **(defaults | options))


def test_without_a_verb_and_without_a_terminal_there_is_short_help() -> None:
    """Exit code 2, help on stderr, nothing on stdout."""
    out, err = (child := program()).communicate(timeout=60)
    assert (child.returncode, out) == (2, b"")
    assert b"stune --help" in err


@pytest.mark.parametrize(
    ("argv", "expected"),
    [
        ([], (None, False, False)),
        (["--host", "box", "--ascii"], ("box", False, True)),
        (["--host=ana@box", "--read-only"], ("ana@box", True, False)),
        (["--host"], None),
        (["--host", "box", "jobs"], None),
        (["jobs"], None),
        (["--help"], None),
    ],
)
def test_options_of_the_interface_are_told_from_command_lines(
    argv: list[str], expected: tuple[str | None, bool, bool] | None
) -> None:
    """Everything with a verb, or with another option, is a command line."""
    found = _interface_options(argv)
    assert (found and (found.host, found.read_only, found.ascii)) == expected


def test_a_reader_that_goes_away_is_no_error_message() -> None:
    """`stune spec | true`: exit code 141, silence."""
    reader, writer = os.pipe()
    os.close(reader)
    _, err = (child := program("spec", stdout=writer)).communicate(timeout=60)
    os.close(writer)
    assert (child.returncode, err) == (141, b"")


def test_exit_codes_of_jobs_and_trainer() -> None:
    """The mapping of tui.md §7.2 and beyond.md §1.2."""
    from stdaemon.wire.jobs import State
    from sttui.cli.narrate import exit_of_job, exit_of_trainer

    jobs = {state.value: exit_of_job(state.value) for state in State}
    assert {s for s, code in jobs.items() if code == 0} == {"succeeded"}
    assert {s for s, code in jobs.items() if code == 6} >= {"failed", "lost", "timed_out"}
    assert jobs["cancelled"] == 5
    assert jobs["rejected"] == 4
    trainer = {0: 0, 4: 4, 6: 6, 64: 1, 65: 1, 70: 6, 75: 5, 76: 6, 77: 6, 78: 4, 130: 130, -9: 6}
    assert {code: exit_of_trainer(code) for code in trainer} == trainer
