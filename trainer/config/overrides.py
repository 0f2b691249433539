"""Single values from the environment and from the command line.

`STUNE_SET__train__steps=100` and `--set train.steps=100` mean the same; values are read as TOML,
and a word that is not TOML is a text.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from trainer.config.keys import all_keys, generic
from trainer.config.layers import Layer, nested
from trainer.config.problems import candidates_for
from trainer.errors import ConfigError
from trainer.findings import finding

PREFIX = "STUNE_SET__"


def parse_value(text: str) -> Any:
    try:
        return tomllib.loads(f"v = {text}")["v"]
    except tomllib.TOMLDecodeError:
        return text


def environment_layer(env: Mapping[str, str], base: Path) -> Layer:
    pairs = []
    for variable in sorted(env):
        if variable.startswith(PREFIX):
            path = variable.removeprefix(PREFIX).replace("__", ".").lower()
            pairs.append((path, env[variable], variable))
    return _layer("environment", pairs, base)


def override_layer(overrides: Sequence[str], base: Path) -> Layer:
    pairs = []
    for item in overrides:
        path, sign, value = item.partition("=")
        if not sign or not path:
            raise ConfigError(
                finding(
                    "CFG007",
                    f"{item!r} is not KEY=VALUE",
                    where="--set",
                    fix="write for example --set train.steps=100",
                )
            )
        pairs.append((path.strip(), value.strip(), f"--set {path.strip()}"))
    return _layer("command line", pairs, base)


def _layer(name: str, pairs: Sequence[tuple[str, str, str]], base: Path) -> Layer:
    from trainer.config.resolve import absolute_paths

    data: dict[str, Any] = {}
    places: dict[str, str] = {}
    for path, text, place in pairs:
        if generic(path) not in all_keys():
            section, _, leaf = path.rpartition(".")
            near = candidates_for(section, leaf)
            raise ConfigError(
                finding(
                    "CFG004",
                    f"unknown key {path}",
                    where=place,
                    key=path,
                    fix=f"did you mean {' or '.join(near)}?" if near else "see `stune explain`",
                )
            )
        _merge(data, nested(path, parse_value(text)))
        places[path] = place
    return Layer(name, absolute_paths(data, base), places)


def _merge(target: dict[str, Any], source: Mapping[str, Any]) -> None:
    for key, value in source.items():
        if isinstance(value, Mapping) and isinstance(target.get(key), dict):
            _merge(target[key], value)
        else:
            target[key] = value
