"""Where configuration, data, caches and sockets live (XDG, all below `STUNE_HOME` when set)."""

from __future__ import annotations

import os
from pathlib import Path

APP = "stune"


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
    """Directory of the daemon's socket, lock and pid file."""
    if root := os.environ.get("STUNE_HOME"):
        return Path(root).expanduser() / "run"
    if base := os.environ.get("XDG_RUNTIME_DIR"):
        return Path(base) / APP
    return data_home() / "run"
