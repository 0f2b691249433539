"""Verbs about job files: lint, fix, explain, config show, config schema.

All of them work here and now, without a daemon and without torch: they are calls of the light
core of the trainer.
"""

from __future__ import annotations

import re
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from sttui.cli import complete, narrate, output
from sttui.cli.failure import CliError, usage
from sttui.cli.options import FILE, FORMAT, PRESET, SET, UNSET
from sttui.cli.source import read_source
from sttui.cli.verb import group, verb
from sttui.format.columns import Column, column

if TYPE_CHECKING:
    from trainer.config.resolve import Resolved

app = group("Job files.")
GROUP = group("Effective values, their origin, and the schema.")

FAIL_ON = typer.Option("error", "--fail-on", metavar="LEVEL", help="info, warn or error.")


def resolved(
    file: str | None,
    preset: str | None,
    set_: list[str],
    unset: list[str],
    format: str | None,
) -> Resolved:
    """The job with all layers merged; problems are findings in it."""
    from trainer.config.resolve import resolve

    source = read_source(file, preset, format)
    return resolve(
        source.text,
        format=source.format,
        name=source.name,
        base_dir=source.base_dir,
        overrides=set_,
        unset=unset,
    )


@verb(app)
def lint(
    file: str | None = FILE,
    preset: str | None = PRESET,
    set_: list[str] = SET,
    unset: list[str] = UNSET,
    format: str | None = FORMAT,
    fail_on: str = FAIL_ON,
) -> None:
    """Check a job file.

    Prints every finding with its reason and remedy. Exit code 1 when there is one at or above
    --fail-on.
    """
    from sttui.format.findings import FINDING_COLUMNS, summary
    from trainer.config.lint import as_meant
    from trainer.findings import LEVELS, at_or_above

    if fail_on not in LEVELS:
        raise usage(f"--fail-on {fail_on!r} is not a level", fix=f"use one of {', '.join(LEVELS)}")
    findings = as_meant(resolved(file, preset, set_, unset, format)).findings
    if output.for_people():
        narrate.report(findings)
        narrate.say(summary(findings), "" if findings else "green")
    else:
        output.table("lint/1", findings, FINDING_COLUMNS, id="code", findings=findings)
    if at_or_above(findings, fail_on):  # type: ignore[arg-type]
        raise CliError(narrate.FINDINGS)


@verb(app)
def fix(
    file: Path = typer.Argument(..., metavar="FILE", help="TOML job file."),
    dry_run: bool = typer.Option(False, "--dry-run", help="Show the changes, write nothing."),
) -> None:
    """Apply the mechanical fixes of lint to a job file.

    Comments and order are kept; what needs a decision stays as it is. A second call changes
    nothing.
    """
    import difflib

    from trainer.config.lint import fix_file
    from trainer.runs.files import write_atomic

    read_source(str(file))  # an unreadable file is told in the same words as everywhere
    old, new, applied = fix_file(file)
    names = (f"{file} (now)", f"{file} (fixed)")
    diff = difflib.unified_diff(old.splitlines(True), new.splitlines(True), *names)
    output.text(
        "fix/1",
        "".join(diff),
        {"file": str(file), "changed": old != new, "dry_run": dry_run, "applied": len(applied)},
        findings=applied,
    )
    if old != new and not dry_run:
        write_atomic(file, new.encode())
    count = f"{len(applied)} fix{'es' if len(applied) != 1 else ''}"
    narrate.say(f"{count} {'would be applied' if dry_run else 'applied'}")


@verb(app)
def explain(
    key: str = typer.Argument(
        ...,
        metavar="KEY|CODE",
        autocompletion=complete.config_keys,
        help="optimizer.lr, CFG004 …",
    ),
) -> None:
    """Explain a configuration key, or a finding code."""
    from trainer.finding_codes import CODES

    if re.fullmatch(r"[A-Z]{3}\d{3}", key.upper()) and key.upper() in CODES:
        code = key.upper()
        output.text("explain-code/1", f"{code}: {CODES[code]}", {"code": code, "doc": CODES[code]})
        return
    from trainer.config.explain import explain as explain_key
    from trainer.errors import ConfigError

    try:
        found = explain_key(key)
    except ConfigError as error:
        raise CliError(narrate.USAGE, *error.findings) from None
    output.text("explain/1", _explanation(asdict(found)), asdict(found))


_FACTS = (
    *("type", "default", "bounds", "choices", "effect"),
    *("families", "keys", "related", "other_names"),
)


def _explanation(data: dict[str, Any]) -> str:
    """The facts about a key as `name  value` lines; empty ones are left out."""
    lines = [data["key"], f"  {data['doc']}"]
    for name in _FACTS:
        value = data.get(name)
        if value is None or value == {} or value == []:
            continue
        lines.append(f"  {name.replace('_', ' '):<12} {_shown(value)}")
    if data.get("example"):
        lines += ["", *(f"    {line}" for line in data["example"].splitlines())]
    return "\n".join(lines)


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        pairs = (f"{k}: {v}" if v not in ("", None) else str(k) for k, v in value.items())
        return "\n               ".join(pairs)
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


@verb(GROUP)
def show(
    file: str | None = FILE,
    preset: str | None = PRESET,
    set_: list[str] = SET,
    unset: list[str] = UNSET,
    format: str | None = FORMAT,
    origin: bool = typer.Option(False, "--origin", help="Say where each value comes from."),
) -> None:
    """Print the effective value of every key."""
    from trainer.config.layers import leaves

    result = resolved(file, preset, set_, unset, format)
    if result.config is None:
        raise CliError(narrate.FINDINGS, *result.findings)
    rows = [
        {"key": path, "value": value, "origin": str(result.origin(path))}
        for path, value in leaves(result.effective())
        if path != "schema"
    ]
    columns = [
        column("key"),
        Column("value", lambda r: r["value"], text=lambda r: _value_text(r["value"])),
    ]
    if origin:
        columns.append(column("origin"))
    else:
        rows = [{k: v for k, v in row.items() if k != "origin"} for row in rows]
    output.table("config/1", rows, columns, id="key", findings=result.findings)


def _value_text(value: Any) -> str:
    import json

    return "–" if value is None else json.dumps(value, ensure_ascii=False)


@verb(GROUP)
def schema() -> None:
    """Print the JSON Schema of a job file, for editors."""
    from trainer.config.jsonschema import json_schema

    output.plain_json(json_schema())
