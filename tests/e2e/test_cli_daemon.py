"""The command line against a real daemon: start, submit, look, stop; no training happens."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import fake_ssh
from tests.support.cli import Home, cli_home

JOB = 'preset = "demo/pretrain"\n[job]\nname = "{name}"\n'


@pytest.fixture(scope="module")
def home() -> Iterator[Home]:
    with cli_home() as found:
        yield found


def submit(home: Home, name: str, *more: str) -> str:
    done = home.stune("submit", "-", "--hold", "-o", "id", *more, stdin=JOB.format(name=name))
    assert done.code == 0, done.err
    return done.out.strip()


def test_submit_starts_the_daemon_and_says_so() -> None:
    """No daemon yet: one narrated line, one id on stdout."""
    with cli_home() as home:
        assert home.stune("jobs").code == 3
        done = home.stune("submit", "-", "--hold", "-o", "id", stdin=JOB.format(name="first"))
        assert (done.code, len(done.out.split())) == (0, 1)
        assert "starting it" in done.err
        assert home.stune("daemon", "status", "--json").data["running"] is True
        assert oct(home.socket.stat().st_mode & 0o777) == "0o600"
        assert home.stune("daemon", "stop").code == 0
        after = home.stune("jobs")
        assert (after.code, after.out) == (3, "")
        assert "stune daemon start" in after.err
        assert home.stune("daemon", "status").code == 3
        assert home.stune("daemon", "start").code == 0
        assert home.stune("daemon", "start").code == 0  # a second start is fine
        assert home.stune("jobs", "-o", "id").out.split() == done.out.split()


def test_a_repeated_once_key_is_the_same_job(home: Home) -> None:
    """`--once` makes a retry safe."""
    first, second = submit(home, "a", "--once", "key-1"), submit(home, "a", "--once", "key-1")
    other = submit(home, "a", "--once", "key-2")
    assert first == second != other


def test_dry_run_queues_nothing(home: Home) -> None:
    """The effect is printed, the list stays as it was."""
    before = home.stune("jobs", "-o", "id", "--all").out
    done = home.stune("submit", "-", "--dry-run", stdin=JOB.format(name="dry"))
    assert done.code == 0
    assert "dry" in done.out
    assert home.stune("jobs", "-o", "id", "--all").out == before


@pytest.mark.parametrize(
    ("text", "code", "said"),
    [
        ("", 2, "standard input is empty"),
        ('preset = "demo/pretrain"\n[train]\nstpes = 3\n', 1, "did you mean train.steps"),
        ('preset = "demo/pretrain"\n[train]\nsteps = "many"\n', 1, "train.steps"),
        ('preset = "demo/pretrian"\n', 1, "demo/pretrain"),
        ("= broken", 1, "CFG003"),
    ],
)
def test_bad_jobs_are_refused_with_findings(home: Home, text: str, code: int, said: str) -> None:
    """What, where, why and how to mend it; the same on stdout with --json."""
    done = home.stune("submit", "-", stdin=text)
    assert (done.code, done.out) == (code, "")
    assert said in done.err
    assert "Traceback" not in done.err
    document = json.loads(home.stune("submit", "-", "--json", stdin=text).out)
    assert document["schema"] == "error/1"
    assert document["findings"]


@pytest.mark.parametrize(
    ("argv", "code", "said"),
    [
        (["show", "nope"], 2, "no job"),
        (["logs", "nope"], 2, "no job"),
        (["stop"], 2, "name a job"),
        (["stop", ""], 2, "empty"),
        (["submit", "/nonexistent.toml"], 1, "CFG001"),
        (["submit", "/nonexistent.toml", "--preset", "demo/pretrain"], 2, "one of them"),
        (["jobs", "--where", "stat=x"], 2, "did you mean state"),
        (["wait", "@last", "--timeout", "soon"], 2, "not a duration"),
        (["jobs", "--host", "nohost"], 2, "unknown host"),
        (["jobs", "--host", "unix:///nonexistent.sock"], 3, "no daemon"),
        (["cancel", "@last"], 2, "--yes"),
    ],
)
def test_mistakes_have_their_exit_codes(home: Home, argv: list[str], code: int, said: str) -> None:
    """Usage 2, bad files 1, unreachable 3; one finding each."""
    submit(home, "any")
    done = home.stune(*argv)
    assert done.code == code, done.err
    assert said in done.err
    assert "Traceback" not in done.err


def test_stdout_of_a_pipe_is_pure(home: Home) -> None:
    """No colour, one document, the same jobs in every format."""
    submit(home, "pure")
    ids = home.stune("jobs", "-o", "id").out.split()
    table = home.stune("jobs", env={"COLUMNS": "20"})
    assert "\x1b" not in table.out
    assert [line.split()[0] for line in table.out.splitlines()[1:]] == ids
    document = json.loads(home.stune("jobs", "--json").out)
    assert document["schema"] == "jobs/1"
    assert [job["id"] for job in document["data"]] == ids
    lines = home.stune("jobs", "-o", "jsonl", "--fields", "name,id").out.splitlines()
    assert [json.loads(line)["id"] for line in lines] == ids
    assert list(json.loads(lines[0])) == ["name", "id"]
    assert home.stune("gpus", "--json").data == []


def test_steering_a_held_job(home: Home) -> None:
    """Cancel ends it, cancelling again is success, wait tells how it ended."""
    id = submit(home, "steer")
    dry = home.stune("cancel", id, "--dry-run")
    assert home.stune("show", id, "--json").data["state"] == "held"
    assert "would cancel" in dry.err
    for _ in range(2):
        assert home.stune("cancel", id[:6], "--yes", "--json").data[0]["state"] == "cancelled"
    assert home.stune("wait", id).code == 5
    assert home.stune("wait", id, "--for", "cancelled").code == 0
    assert home.stune("wait", id, "--for", "step>=3").code == 5
    refused = home.stune("checkpoint", id)
    assert refused.code == 4
    other = submit(home, "steer-2")
    waiting = home.stune("wait", other, "--timeout", "0.3s")
    assert (waiting.code, "timeout" in waiting.err) == (1, True)


def test_the_same_daemon_through_ssh(home: Home, tmp_path: Path) -> None:
    """A fake ssh with a talkative login shell: same answers, no network, exit codes kept."""
    id = submit(home, "far")
    (tmp_path / "ssh").write_text(
        f'#!/bin/sh\nexec "{sys.executable}" "{fake_ssh.__file__}" "$@"\n'
    )
    (tmp_path / "stune").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m sttui "$@"\n')
    for name in ("ssh", "stune"):
        (tmp_path / name).chmod(0o755)
    env = {
        "PATH": f"{tmp_path}:{os.environ['PATH']}",
        "FAKE_SSH_LOG": str(tmp_path / "log"),
        "FAKE_SSH_NOISE": "Welcome to box\n",
    }
    address = f"ssh://ana@box{home.socket}"
    near, far = (
        home.stune("jobs", "--json"),
        home.stune("jobs", "--json", "--host", address, env=env),
    )
    assert far.data == near.data
    assert far.err.count("login shell") == 1
    assert home.stune("show", id, env=env | {"STUNE_HOST": address}).code == 0
    assert home.stune("show", "nope", "--host", address, env=env).code == 2
    assert len((tmp_path / "log").read_text().splitlines()) == 3  # one process per call
    gone = home.stune("jobs", "--host", "ssh://box/nonexistent.sock", env=env)
    assert gone.code == 3
    assert "ssh box stune daemon start" in gone.err
