"""Short socket paths (Unix sockets allow about 100 bytes) and a fake remote machine."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def short_dir() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="stc-", dir="/tmp") as name:
        yield Path(name)


@pytest.fixture
def remote(short_dir: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine behind the fake ssh; its `stune` is this source tree."""
    folder = short_dir / "bin"
    folder.mkdir()
    program = folder / "stune"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m sttui "$@"\n')
    program.chmod(0o755)
    monkeypatch.setenv("FAKE_SSH_PATH", str(folder))
    monkeypatch.setenv("FAKE_SSH_LOG", str(short_dir / "ssh.log"))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    return short_dir
