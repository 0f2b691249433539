"""Single values from the environment and from the command line.

`STUNE_SET__train__steps=100` and `--set train.steps=100` mean the same; values are read as TOML,
and a word that is not TOML is a text. Items of lists are named by index:
`data.datasets[0].path`, in a variable `data__datasets__0__path`.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from trainer.config.keys import ITEM, all_keys, generic
from trainer.config.layers import Layer, join, nested, split
from trainer.config.paths import absolute
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
            names = variable.removeprefix(PREFIX).lower().split("__")
            path = join([int(n) if n.isdigit() else n for n in names])
            pairs.append((path, env[variable], variable))
    return _layer("environment", pairs, base)


def override_layer(overrides: Sequence[str], base: Path) -> Layer:
    pairs = []
    for item in overrides:
        path, sign, value = item.partition("=")
        if not sign or not path.strip():
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


def check_key(path: str, place: str) -> None:
    """Raise ConfigError with the nearest names when there is no such key."""
    if generic(path).removesuffix(ITEM) in all_keys():
        return
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


def _layer(name: str, pairs: Sequence[tuple[str, str, str]], base: Path) -> Layer:
    data: dict[Any, Any] = {}
    places: dict[str, str] = {}
    for path, text, place in pairs:
        check_key(path, place)
        value = absolute(nested(path, parse_value(text)), base)
        _into(data, value)
        places[join(split(path))] = place
    return Layer(name, data, places)


def _into(target: dict[Any, Any], source: Mapping[Any, Any]) -> None:
    """Like the merge of layers, but indices stay: the list they reach into comes later."""
    for key, value in source.items():
        if isinstance(value, Mapping) and isinstance(target.get(key), dict):
            _into(target[key], value)
        else:
            target[key] = value
