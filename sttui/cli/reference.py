"""The reference page of the command line, made from the verbs themselves."""

from __future__ import annotations

from typing import Any

from sttui.cli.specification import specification
from sttui.cli.verbs import SECTIONS

INTRO = """\
# Command line

Generated from the program by `make docs`; do not edit.

`stune VERB …` is the command line; `stune` without a verb on a terminal opens the full-screen
interface. stdout carries the answer and nothing else, stderr everything for people, so pipes are
safe: no colour, no progress, no cut-off cells. Machine formats carry one versioned document
`{"schema": "jobs/1", "data": …, "findings": […]}`; streams (`logs -f`, `events`) are JSON lines.

A job is named by its id, a unique start of it, its number, its name, `@last` or `@running`. The
daemon is chosen by `--host`, then `STUNE_HOST`, then the default host of `hosts.toml`, then the
socket of this machine.
"""


def markdown() -> str:
    """The whole page."""
    spec = specification()
    parts = [INTRO, "## Options of every verb\n", _table(spec["common_options"]), "## Exit codes\n"]
    codes = "".join(f"| {code} | {text} |\n" for code, text in spec["exit_codes"].items())
    parts.append(f"| Code | Meaning |\n|---|---|\n{codes}")
    for section in SECTIONS:
        parts.append(f"## {section}\n")
        for name, verb in spec["verbs"].items():
            if verb["section"] == section:
                parts.append(_verb(name, verb))
    return "\n".join(parts)


def _verb(name: str, verb: dict[str, Any]) -> str:
    words = [_argument(argument) for argument in verb["arguments"]]
    usage = " ".join(["stune", name, *words])
    text = f"### `{usage}`\n\n{verb['help']}\n"
    rows = [a for a in verb["arguments"] if a["help"]] + verb["options"]
    return f"{text}\n{_table(rows)}" if rows else text


def _argument(argument: dict[str, Any]) -> str:
    name = argument["name"] or argument["flags"][0].upper()
    return name if argument["required"] else f"[{name}]"


def _table(rows: list[dict[str, Any]]) -> str:
    lines = ["| Option | Default | Meaning |", "|---|---|---|"]
    for row in rows:
        flags = ", ".join(f"`{flag}`" for flag in row["flags"]).replace("|", "\\|")
        value = f" {row['metavar']}".replace("|", "\\|") if row["metavar"] else ""
        default = "" if row["default"] in (None, False, []) else f"`{row['default']}`"
        lines.append(f"| {flags}{value} | {default} | {row['help']} |")
    return "\n".join(lines) + "\n"
