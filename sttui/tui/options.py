"""How this terminal wants to be treated: colours, character set, motion; decided once at start.

Imports nothing of the framework, so a refusal costs nothing.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Options:
    ascii: bool = False
    colour: bool = True
    motion: bool = True
    read_only: bool = False


def choose(env: Mapping[str, str], *, ascii: bool, read_only: bool) -> Options:
    """`NO_COLOR` means no colour at all; over SSH nothing moves."""
    return Options(
        ascii=ascii or not speaks_utf8(env),
        colour=not env.get("NO_COLOR"),
        motion="SSH_CONNECTION" not in env and env.get("TEXTUAL_ANIMATIONS", "") != "none",
        read_only=read_only,
    )


def speaks_utf8(env: Mapping[str, str]) -> bool:
    """From the variables alone: Python's own answer is UTF-8 even where the terminal's is not."""
    name = env.get("LC_ALL") or env.get("LC_CTYPE") or env.get("LANG") or ""
    return "utf8" in name.lower().replace("-", "")


def usable_terminal(env: Mapping[str, str]) -> bool:
    return env.get("TERM", "") not in ("", "dumb") and os.isatty(0) and os.isatty(1)
