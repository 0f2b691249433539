"""JSON as people leave it: with a comma too many, comments, or a key written twice.

SimpleTuner's own examples hold such files. What was overlooked is told, with its line.
"""

from __future__ import annotations

import json
import re
from typing import Any

from trainer.config.positions import json_lines
from trainer.errors import ConfigError
from trainer.findings import Finding, finding

_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")
_TOKEN = re.compile(r'"(?:\\.|[^"\\])*"|//[^\n]*|/\*.*?\*/|,(?=\s*[}\]])', re.DOTALL)


def parse(text: str, name: str) -> tuple[Any, dict[str, int], list[Finding]]:
    """Data, line of each key path, and what was overlooked; ConfigError when it is no JSON."""
    told: list[Finding] = []
    twice: list[str] = []
    try:
        data = _load(text, twice)
    except json.JSONDecodeError:
        text = _mended(text, name, told)
        try:
            data = _load(text, twice)
        except json.JSONDecodeError as error:
            raise broken(f"{name}:{error.lineno}", error.msg) from None
    except RecursionError:
        raise broken(name, "it is nested too deeply") from None
    for key in twice:
        places = [m.start() for m in re.finditer(rf'"{re.escape(key)}"\s*:', text)]
        line = text.count("\n", 0, places[-1]) + 1 if places else 1
        told.append(
            finding(
                "IMP003",
                f'"{key}" stands twice; the last one counts, as in SimpleTuner',
                where=f"{name}:{line}",
                fix="remove one of them",
                level="warn",
            )
        )
    if _SURROGATE.search(text):
        data = _whole(data)
    return data, json_lines(text), told


def _whole(value: Any) -> Any:
    """The data without halves of surrogate pairs, which no file could hold."""
    if isinstance(value, dict):
        return {_whole(k): _whole(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_whole(v) for v in value]
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return value


def broken(where: str, why: str) -> ConfigError:
    problem = finding("IMP001", f"not well-formed: {why}", where=where, fix="mend the file")
    return ConfigError(problem)


def _load(text: str, twice: list[str]) -> Any:
    def members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key, value in pairs:
            if key in found:
                twice.append(key)
            found[key] = value
        return found

    return json.loads(text, object_pairs_hook=members)


def _mended(text: str, name: str, told: list[Finding]) -> str:
    """The text with comments and trailing commas blanked out; positions stay the same."""

    def blank(match: re.Match[str]) -> str:
        found = match[0]
        if found.startswith('"'):
            return found
        what = "a comma before the closing bracket" if found == "," else "a comment"
        line = text.count("\n", 0, match.start()) + 1
        told.append(
            finding(
                "IMP003",
                f"{what} is not JSON; it is overlooked",
                where=f"{name}:{line}",
                fix="remove it",
                level="warn",
            )
        )
        return re.sub(r"[^\n]", " ", found)

    without_comments = _TOKEN.sub(lambda m: m[0] if m[0] == "," else blank(m), text)
    return _TOKEN.sub(blank, without_comments)
