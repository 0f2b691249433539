"""Which modules a pattern of the configuration means.

A pattern is the end of a module name at a dot (`to_q`, `attn.to_out.0`), or a regular expression
for such an end (`transformer_blocks\\.[0-3]\\..*`). Overrides and exclusions share the rule,
which is PEFT's own.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from trainer.config.schema.adapter import AdapterConfig, AdapterOverride
from trainer.errors import ConfigError
from trainer.findings import finding


def matches(pattern: str, module: str) -> bool:
    return re.match(rf"(.*\.)?({pattern})$", module) is not None


def kept(modules: Iterable[str], config: AdapterConfig) -> list[str]:
    """The modules that no pattern of `adapter.exclude` means; a pattern without any is refused."""
    names = list(modules)
    refuse_dead(config.exclude, names, "adapter.exclude")
    return [name for name in names if not any(matches(p, name) for p in config.exclude)]


def override(module: str, config: AdapterConfig) -> AdapterOverride:
    """What `adapter.overrides` says of a module: of each key the first that is set for it."""
    mine = [o for o in config.overrides if matches(o.module, module)]
    return AdapterOverride(
        module=module,
        rank=next((o.rank for o in mine if o.rank is not None), None),
        alpha=next((o.alpha for o in mine if o.alpha is not None), None),
    )


def sizes(modules: Iterable[str], config: AdapterConfig) -> dict[str, tuple[int, float]]:
    """Rank and alpha of every module."""
    names = list(modules)
    refuse_dead([o.module for o in config.overrides], names, "adapter.overrides")
    return {name: _size(override(name, config), config) for name in names}


def _size(own: AdapterOverride, config: AdapterConfig) -> tuple[int, float]:
    rank = own.rank or config.rank
    return rank, float(own.alpha or config.alpha or rank)


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
