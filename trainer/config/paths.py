"""Which values are paths, and what relative ones are relative to.

A path in a file means: from the file's folder. `preset:demo/model` points into the installed
presets. A model path that is no existing folder or file is taken for a hub id.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from glob import has_magic
from pathlib import Path
from typing import Any

from trainer.config import presets
from trainer.config.keys import ITEM, all_keys


def absolute(data: Mapping[Any, Any], base: Path) -> dict[Any, Any]:
    """The same data with every path absolute."""
    return _mapping(data, base, "")


def _mapping(data: Mapping[Any, Any], base: Path, section: str) -> dict[Any, Any]:
    result: dict[Any, Any] = {}
    for key, value in data.items():
        if isinstance(key, int):
            path = f"{section}{ITEM}"
        else:
            path = f"{section}.{key}" if section else str(key)
        result[key] = _value(value, base, path)
    return result


def _value(value: Any, base: Path, path: str) -> Any:
    if isinstance(value, Mapping):
        return _mapping(value, base, path)
    if isinstance(value, list):
        return [_value(v, base, f"{path}{ITEM}") for v in value]
    known = all_keys().get(path)
    kind = known.extra.get("path") if known else None
    if not kind or not isinstance(value, str) or not value:
        return value
    if "://" in value:
        return value
    if value.startswith(presets.PREFIX):
        return str(presets.inside(value))
    try:
        candidate = (base / Path(value).expanduser()).resolve()
    except (OSError, RuntimeError, ValueError):
        return value  # no path at all, or the home of nobody; told as a folder that is not there
    elsewhere = not os.path.exists(candidate) and not has_magic(value)  # as of a hub id
    if kind == "model" and elsewhere and not value.startswith((".", "/", "~")):
        return value
    return str(candidate)
