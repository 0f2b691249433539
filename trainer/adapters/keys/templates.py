"""Names of the layers of each family, with `{}` for the number of a block.

`modules.json` is written from the families' own models by `python -m
tests.unit.trainer.adapters.keys.test_templates`, and a test holds it to them. With it, adapter
files are read without a model: names behind underscores get their dots back, and the family of a
file is guessed. Numbers that do not count blocks (`to_out.0`) stay as they are.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

FILE = Path(__file__).with_name("modules.json")

_CLIP = tuple(
    f"{root}encoder.layers.{{}}.{end}"
    for root in ("text_model.", "")
    for end in (*(f"self_attn.{n}_proj" for n in ("q", "k", "v", "out")), "mlp.fc1", "mlp.fc2")
)
_T5 = (
    *(f"encoder.block.{{}}.layer.{{}}.SelfAttention.{n}" for n in ("q", "k", "v", "o")),
    *(f"encoder.block.{{}}.layer.{{}}.DenseReluDense.{n}" for n in ("wi", "wi_0", "wi_1", "wo")),
)
TEXT_ENCODER = (*_CLIP, *_T5)


@cache
def all_templates() -> dict[str, tuple[str, ...]]:
    return {family: tuple(names) for family, names in json.loads(FILE.read_text()).items()}


def templates(family: str | None) -> tuple[str, ...]:
    """Of one family, or of all."""
    known = all_templates()
    if family is not None:
        return known.get(family, ())
    return tuple(dict.fromkeys(name for names in known.values() for name in names))
