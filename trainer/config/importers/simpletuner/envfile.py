"""config.env: shell assignments, and raw flags in TRAINER_EXTRA_ARGS.

Nothing is run: a line is NAME=value or NAME+=value, with or without `export` and quotes. A
variable in a value is one of an earlier line.
"""

from __future__ import annotations

import re
import shlex

from trainer.config.importers.ledger import Item
from trainer.config.importers.simpletuner.names import option, variable
from trainer.findings import Finding, finding

EXTRA = "TRAINER_EXTRA_ARGS"
_LINE = re.compile(r"(?:export\s+)?([A-Za-z_]\w*)(\+?=)(.*)")
_VARIABLE = re.compile(r"\$(?:\{(\w+)\}|(\w+))")


def parse(text: str, name: str) -> tuple[list[Item], list[Finding]]:
    """Items in the order of the file, and the lines that could not be read."""
    values: dict[str, str] = {}
    places: dict[str, str] = {}
    told: list[Finding] = []
    for number, raw in enumerate(text.splitlines(), 1):
        line, where = raw.strip(), f"{name}:{number}"
        if not line or line.startswith("#"):
            continue
        match = _LINE.fullmatch(line)
        if match is None:
            told.append(_unread(line, where))
            continue
        key, sign, value = match[1], match[2], _unquoted(match[3].strip())
        value = _VARIABLE.sub(lambda m: values.get(m[1] or m[2], m[0]), value)
        values[key] = f"{values.get(key, '')} {value}".strip() if sign == "+=" else value
        places[key] = where
    items: list[Item] = []
    for key, value in values.items():
        items.append(variable(key, value, places[key]))
        if key == EXTRA:
            items += _flags(value, places[key])
    return items, told


def _unquoted(value: str) -> str:
    """The value without its quotes, or without the comment behind it."""
    if value[:1] in ("'", '"') and (end := value.find(value[0], 1)) > 0:
        return value[1:end]
    return re.split(r"\s#", value, maxsplit=1)[0].strip()


def _flags(text: str, where: str) -> list[Item]:
    """`--name=value`, `--name value` and bare `--name`."""
    try:
        words = shlex.split(text)
    except ValueError:
        words = text.split()
    items: list[Item] = []
    for word in words:
        if word.startswith("--"):
            key, equals, value = word.partition("=")
            items.append(option(key, value if equals else True, where))
        elif items and items[-1].value is True:
            items[-1] = option(items[-1].key, word, where)
    return items


def _unread(line: str, where: str) -> Finding:
    return finding(
        "IMP003",
        f"{line[:40]!r} is no assignment; the line is overlooked",
        where=where,
        fix="write NAME=value",
        level="warn",
    )
