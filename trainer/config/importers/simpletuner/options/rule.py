"""What becomes of one SimpleTuner option: the row of a table.

`direct` options are entered at their key path; `handled` ones mean something only together with
others, and a function of `simpletuner.settings` translates them; `dropped` ones are not needed
here; `lacking` ones have no counterpart, which does not matter while they are off.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from trainer.config.importers.values import Kind


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """`default` is SimpleTuner's own; `gate` names an option without which this one is idle."""

    how: Literal["direct", "handled", "dropped", "lacking"]
    default: Any = None
    to: str = ""
    kind: Kind = "text"
    why: str = ""
    off: tuple[Any, ...] = ()
    gate: str = ""
    families: tuple[str, ...] = ()


def direct(to: str, kind: Kind, *, default: Any = None, families: tuple[str, ...] = ()) -> Rule:
    return Rule(how="direct", to=to, kind=kind, default=default, families=families)


def handled(default: Any = None, *, gate: str = "", families: tuple[str, ...] = ()) -> Rule:
    return Rule(how="handled", default=default, gate=gate, families=families)


def dropped(why: str) -> Rule:
    return Rule(how="dropped", why=why)


def lacking(why: str, *off: Any, gate: str = "", families: tuple[str, ...] = ()) -> Rule:
    """`off` are the values at which the option changes nothing."""
    return Rule(how="lacking", why=why, off=off, gate=gate, families=families)
