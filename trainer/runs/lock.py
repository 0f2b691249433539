"""One trainer per run directory: an advisory lock that the kernel drops with the process."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from trainer.errors import ConfigError
from trainer.findings import finding


def acquire(path: Path) -> int:
    """Lock `path` for this process; the returned descriptor holds the lock until it is closed."""
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(fd)
        raise ConfigError(
            finding(
                "RUN002",
                f"another trainer is already working in {path.parent}",
                where=str(path.parent),
                why="two writers would destroy the run",
                fix="wait for it, stop it, or choose another --run-dir",
            )
        ) from None
    return fd
