"""How a frozen network may be stored in fewer bits, and which package does it.

Names are those of the reference, `<number format>-<package>`. All of them are weight-only: weights
are stored small and widened where they are used, so gradients pass through to the adapters. Forms
that round activations as well have no gradient in their packages and are not offered.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

Quant = Literal[
    "int8-torchao",
    "fp8-torchao",
    "int8-quanto",
    "int4-quanto",
    "fp8-quanto",
    "nf4-bnb",
]


@dataclass(frozen=True, slots=True)
class QuantEntry:
    """`level` is the number format, which is what quality depends on."""

    level: str
    package: str
    summary: str
    plain_tensors: bool = False  # a packed weight is one tensor, not a tensor of tensors


QUANTS: dict[str, QuantEntry] = {
    "int8-torchao": QuantEntry("int8", "torchao", "8-bit integers, one scale a row"),
    "fp8-torchao": QuantEntry("fp8", "torchao", "8-bit floats (e4m3), one scale a tensor"),
    "int8-quanto": QuantEntry("int8", "optimum.quanto", "8-bit integers, one scale a row"),
    "int4-quanto": QuantEntry("int4", "optimum.quanto", "4-bit integers in groups of 128"),
    "fp8-quanto": QuantEntry("fp8", "optimum.quanto", "8-bit floats (e4m3), one scale a row"),
    "nf4-bnb": QuantEntry(
        "nf4",
        "bitsandbytes",
        "4-bit normal floats in blocks of 64 (2305.14314)",
        plain_tensors=True,
    ),
}

assert tuple(QUANTS) == get_args(Quant)

LEVELS = frozenset(entry.level for entry in QUANTS.values())
