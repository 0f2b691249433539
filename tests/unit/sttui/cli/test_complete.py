"""Completion in three shells, with live ids that are cached and never get in the way."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from sttui.cli import complete
from sttui.cli.complete import SHELLS
from tests.support.unix_http import Handler, serve
from tests.unit.sttui.cli.conftest import Run

ROOT = Path(__file__).resolve().parents[4]


def completed(line: str, shell: str = "bash") -> list[str]:
    """What the shell is offered for the last word of a line (a final blank starts a new one)."""
    words = line.split()
    env = os.environ | {"_STUNE_COMPLETE": f"complete_{shell}", "PYTHONPATH": str(ROOT)}
    if shell == "bash":
        index = len(words) if line.endswith(" ") else len(words) - 1
        env |= {"COMP_WORDS": line, "COMP_CWORD": str(index)}
    else:
        env |= {"_TYPER_COMPLETE_ARGS": line, "_TYPER_COMPLETE_FISH_ACTION": "get-args"}
    call = [sys.executable, "-m", "sttui"]
    done = subprocess.run(call, env=env, capture_output=True, text=True, timeout=60)
    assert done.stderr == ""
    return [item for item in done.stdout.splitlines() if item]


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("stune sub", ["submit"]),
        ("stune config s", ["show", "schema"]),
        ("stune jobs --wat", ["--watch"]),
        ("stune jobs --state lo", ["lost"]),
        ("stune explain optimizer.l", ["optimizer.lr"]),
        ("stune submit --set train.st", ["train.steps="]),
        ("stune preset show demo/pre", ["demo/pretrain"]),
        ("stune stop @", ["@last", "@running"]),
        ("stune jobs -o ya", ["yaml"]),
        ("stune show ", []),
        ("stune nonsense x", []),
    ],
)
def test_words_in_bash(line: str, offered: list[str]) -> None:
    """Verbs, options, states, keys, presets; silence without a daemon."""
    assert completed(line) == offered


def test_descriptions_in_zsh_and_fish() -> None:
    """The help line comes with the word."""
    assert completed("stune config sh", "fish") == ["show\tPrint the effective value of every key."]
    zsh = completed("stune config sh", "zsh")
    assert '"show":"Print the effective value of every key."' in zsh[0]


@pytest.fixture
def socket_home(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="stc-", dir="/tmp") as name:
        home = Path(name)
        (home / "run").mkdir()
        monkeypatch.setenv("STUNE_HOME", name)
        yield home


def answer(handler: Handler) -> None:
    if handler.path == "/v1/hello":
        handler.send(
            b'{"version": "1", "instance": "i", "hostname": "h", "user": "u",'
            b' "started_at": 0, "time": 0}'
        )
    else:
        handler.send(
            b'{"jobs": [{"id": "k3f9x2ab", "number": 1, "name": "style", "state": "running"}]}'
        )


def test_live_ids_and_names_are_cached(socket_home: Path) -> None:
    """The second answer within five seconds asks nobody."""
    with serve(socket_home / "run" / "api.sock", answer) as server:
        assert complete.jobs("k3") == [("k3f9x2ab", "style · running")]
        asked = server.connections
        assert complete.jobs("sty") == [("style", "k3f9x2ab · running")]
        assert server.connections == asked
        assert completed("stune logs -f k") == ["k3f9x2ab"]


def test_a_daemon_that_hangs_is_silence(socket_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Half a second at most, then nothing is offered."""
    monkeypatch.setattr(complete, "DAEMON_TIMEOUT_S", 0.2)
    release = threading.Event()
    with serve(socket_home / "run" / "api.sock", lambda handler: release.wait(20)):
        assert complete.jobs("") == []
        release.set()


@pytest.mark.parametrize("shell", SHELLS)
def test_scripts(run: Run, shell: str) -> None:
    """Each shell gets a script that calls the program back."""
    script = run("completion", shell).out
    assert f"_STUNE_COMPLETE=complete_{shell}" in script
    if shell == "bash":
        check = subprocess.run(["bash", "-n"], input=script, text=True, timeout=20)
        assert check.returncode == 0
    assert run("completion", "tcsh").code == 2
