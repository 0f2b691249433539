"""Where configuration, data, caches and sockets live (XDG, all below `STUNE_HOME` when set)."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

APP = "stune"
MAX_RUNTIME_BYTES = 90  # a socket's path takes 104 bytes on macOS, 108 on Linux


def _home(part: str, variable: str, fallback: str) -> Path:
    if root := os.environ.get("STUNE_HOME"):
        return Path(root).expanduser() / part
    base = os.environ.get(variable)
    return (Path(base) if base else Path.home() / fallback) / APP


def config_home() -> Path:
    return _home("config", "XDG_CONFIG_HOME", ".config")


def data_home() -> Path:
    return _home("data", "XDG_DATA_HOME", ".local/share")


def cache_home() -> Path:
    return _home("cache", "XDG_CACHE_HOME", ".cache")


def runtime_dir() -> Path:
    """Directory of the daemon's socket and lock: a short one, since socket paths are limited."""
    if root := os.environ.get("STUNE_HOME"):
        found = Path(root).expanduser() / "run"
    elif base := os.environ.get("XDG_RUNTIME_DIR"):
        found = Path(base) / APP
    else:
        found = data_home() / "run"
    if len(os.fsencode(found)) <= MAX_RUNTIME_BYTES:
        return found
    digest = hashlib.blake2b(os.fsencode(found), digest_size=6).hexdigest()
    return Path("/tmp") / f"{APP}-{os.getuid()}-{digest}"
