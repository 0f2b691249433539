"""Run `stune` as a real program against a daemon of its own, in a home of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
TIMEOUT_S = 90.0


def until(condition: Callable[[], object], timeout_s: float = TIMEOUT_S) -> None:
    """Look until the condition holds; fails when it does not in time."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true in time"
        time.sleep(0.02)


@dataclass(frozen=True)
class Done:
    """A finished call."""

    code: int
    out: str
    err: str

    @property
    def data(self) -> Any:
        """The data of the one JSON document on stdout."""
        return json.loads(self.out)["data"]


def _hear_interrupts() -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@dataclass
class Home:
    """A home directory and the environment of programs that live in it."""

    path: Path
    env: dict[str, str] = field(default_factory=dict)

    @property
    def socket(self) -> Path:
        return self.path / "run" / "api.sock"

    def popen(self, *argv: str, **options: Any) -> subprocess.Popen[bytes]:
        defaults = {
            "stdin": subprocess.DEVNULL,
            "stdout": subprocess.PIPE,
            "stderr": subprocess.PIPE,
            "env": self.env,
            "cwd": self.path,
            "preexec_fn": _hear_interrupts,  # a runner in the background may ignore SIGINT
        }
        return subprocess.Popen([sys.executable, "-m", "sttui", *argv], **(defaults | options))

    def stune(self, *argv: str, stdin: str = "", env: dict[str, str] | None = None) -> Done:
        child = self.popen(*argv, stdin=subprocess.PIPE, env=self.env | (env or {}))
        out, err = child.communicate(stdin.encode(), timeout=TIMEOUT_S)
        return Done(child.returncode, out.decode(), err.decode())


@contextmanager
def cli_home(**env: str) -> Iterator[Home]:
    """A fresh home; whatever daemon was started in it is stopped at the end."""
    with tempfile.TemporaryDirectory(prefix="st-", dir="/tmp") as name:
        clean = {k: v for k, v in os.environ.items() if not k.startswith(("STUNE_", "_STUNE"))}
        base = {"STUNE_HOME": name, "PYTHONPATH": str(ROOT), "COLUMNS": "80"}
        home = Home(Path(name), clean | base | env)
        try:
            yield home
        finally:
            if home.socket.exists():
                home.stune("cancel", "--where", "number>0", "--yes")
                home.stune("wait", "--where", "number>0", "--timeout", "30s")
                home.stune("daemon", "stop")
