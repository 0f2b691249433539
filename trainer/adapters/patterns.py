"""Which modules a pattern of the configuration means.

A pattern is the end of a module name at a dot (`to_q`, `attn.to_out.0`), or a regular expression
for such an end (`transformer_blocks\\.[0-3]\\..*`). Ranks, alphas and exclusions share the rule,
which is PEFT's own.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import TypeVar

from trainer.config.schema.adapter import AdapterConfig
from trainer.errors import ConfigError
from trainer.findings import finding

T = TypeVar("T")


def matches(pattern: str, module: str) -> bool:
    return re.match(rf"(.*\.)?({pattern})$", module) is not None


def chosen(patterns: Mapping[str, T], module: str) -> T | None:
    """The value of the first pattern that means this module."""
    return next((v for pattern, v in patterns.items() if matches(pattern, module)), None)


def kept(modules: Iterable[str], config: AdapterConfig) -> list[str]:
    """The modules that no pattern of `adapter.exclude` means; a pattern without any is refused."""
    names = list(modules)
    refuse_dead(config.exclude, names, "adapter.exclude")
    return [name for name in names if not any(matches(p, name) for p in config.exclude)]


def sizes(modules: Iterable[str], config: AdapterConfig) -> dict[str, tuple[int, float]]:
    """Rank and alpha of every module."""
    names = list(modules)
    refuse_dead(config.ranks, names, "adapter.ranks")
    refuse_dead(config.alphas, names, "adapter.alphas")
    return {name: _size(name, config) for name in names}


def _size(module: str, config: AdapterConfig) -> tuple[int, float]:
    rank = chosen(config.ranks, module) or config.rank
    alpha = chosen(config.alphas, module) or config.alpha or float(rank)
    return rank, float(alpha)


def refuse_dead(patterns: Iterable[str], modules: list[str], key: str) -> None:
    """A pattern that means no module would have no effect: raise, and say which names there are."""
    dead = [p for p in patterns if not any(matches(p, name) for name in modules)]
    if not dead:
        return
    raise ConfigError(
        finding(
            "LOR010",
            f"no adapted module has a name that ends in {', '.join(dead)}",
            where=key,
            why="the pattern would have no effect",
            fix=f"names look like {', '.join(modules[:2])}",
        )
    )
