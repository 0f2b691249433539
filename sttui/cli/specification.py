"""Machine-readable help: every verb with its options, types and defaults, and the exit codes."""

from __future__ import annotations

from typing import Any

from sttui.cli.narrate import EXIT_CODES
from sttui.cli.verb import common_params
from sttui.cli.verbs import VERBS


def specification() -> dict[str, Any]:
    """All verbs; the common options are listed once."""
    from sttui.cli.about import version_text
    from sttui.cli.root import load

    common = {param.name for param in common_params()}
    verbs: dict[str, Any] = {}
    for name, entry in VERBS.items():
        command = load(name)
        if entry.group:
            for child, sub in command.commands.items():
                verbs[f"{name} {child}"] = _verb(sub, entry.section, common)
        else:
            verbs[name] = _verb(command, entry.section, common)
    return {
        "program": "stune",
        "version": version_text(),
        "common_options": [_param(param) for param in common_params()],
        "verbs": verbs,
        "exit_codes": {str(code): text for code, text in EXIT_CODES.items()},
    }


def _verb(command: Any, section: str, common: set[str]) -> dict[str, Any]:
    own = [p for p in command.params if p.name not in common and p.name != "help"]
    return {
        "section": section,
        "hidden": not section,
        "help": " ".join((command.help or "").split()),
        "arguments": [_param(p) for p in own if p.param_type_name == "argument"],
        "options": [_param(p) for p in own if p.param_type_name == "option"],
    }


def _param(param: Any) -> dict[str, Any]:
    default = param.default
    argument = param.param_type_name == "argument"
    flags = [param.metavar or param.name.upper()] if argument else list(param.opts)
    kind = param.bare_type().removesuffix(" | None")
    value = "" if argument or kind == "bool" else param.metavar or kind.upper()
    return {
        "name": flags[-1],
        "flags": flags,
        "metavar": value,
        "type": kind,
        "repeatable": bool(getattr(param, "multiple", False)) or param.nargs == -1,
        "required": bool(param.required),
        "default": default if isinstance(default, str | int | float | bool | list) else None,
        "help": param.help or "",
    }
