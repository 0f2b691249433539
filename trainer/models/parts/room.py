"""Tables of positions have an end.

Rotary embeddings that are looked up in a table fail beyond it: on a GPU as an assertion deep
inside a kernel, which names nothing and leaves the process useless.
"""

from __future__ import annotations

from collections.abc import Sequence

from trainer.errors import ConfigError
from trainer.findings import finding

AXES = ("tokens of text", "rows of patches", "columns of patches")


def demand_room(tables: Sequence[int], needed: Sequence[int]) -> None:
    """ConfigError where one of the axes needs more positions than its table has."""
    for axis, most, wanted in zip(AXES, tables, needed, strict=True):
        if wanted > most:
            raise ConfigError(
                finding(
                    "CFG213",
                    f"a sample needs {wanted} positions for {axis}, and the model has {most}",
                    where="model.path",
                    why="the model knows no position beyond its table",
                    fix="train at a smaller resolution, or with fewer model.max_tokens",
                )
            )
