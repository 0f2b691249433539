"""Read a value that may have been written as text: `"1e-4"`, `"True"`, `"[1, 2]"`.

Other trainers take their settings from command lines, so texts stand for everything. None means
that the value cannot be read as what was asked for.
"""

from __future__ import annotations

import ast
import json
import math
from typing import Any, Literal

Kind = Literal["bool", "int", "float", "text", "texts"]

_TRUE = {"1", "true", "yes", "y", "on"}
_FALSE = {"0", "false", "no", "n", "off"}


def boolean(value: Any) -> bool | None:
    if isinstance(value, bool):
        return value
    text = str(value).strip().lower() if isinstance(value, int | float | str) else ""
    return True if text in _TRUE else False if text in _FALSE else None


def number(value: Any) -> float | int | None:
    """A finite number; whole ones as int."""
    if isinstance(value, bool):
        return None
    if isinstance(value, str):
        try:
            value = float(value.strip().replace("_", ""))
        except ValueError:
            return None
    if not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return int(value) if isinstance(value, float) and value.is_integer() else value


def whole(value: Any) -> int | None:
    found = number(value)
    return found if isinstance(found, int) else None


def text(value: Any) -> str | None:
    """A text; numbers are written out, as a name such as `1.5` may have been read as one."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    return str(value)


def texts(value: Any) -> list[str] | None:
    """A list of texts, also as a JSON text, or one text with commas between them."""
    if isinstance(value, str):
        found = structure(value)
        value = found if isinstance(found, list) else value.split(",")
    if not isinstance(value, list):
        return None
    parts = [text(part) for part in value]
    return (
        [p.strip() for p in parts if p and p.strip()] if all(p is not None for p in parts) else None
    )


def structure(value: Any) -> Any:
    """A table or list, also written as JSON or as a Python literal; None when it is neither."""
    if isinstance(value, dict | list):
        return value
    if not isinstance(value, str) or not value.strip().startswith(("{", "[")):
        return None
    try:
        found = json.loads(value)
    except (ValueError, RecursionError):
        try:
            found = ast.literal_eval(value.strip())
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            return None
    return found if isinstance(found, dict | list) else None


def read(value: Any, kind: Kind) -> Any:
    match kind:
        case "bool":
            return boolean(value)
        case "int":
            return whole(value)
        case "float":
            return number(value)
        case "text":
            return text(value)
        case "texts":
            return texts(value)


def same(value: Any, other: Any) -> bool:
    """Whether two values say the same, whatever they are written as."""
    if isinstance(other, bool):
        return boolean(value) is other
    if isinstance(other, int | float):
        return number(value) == other
    return str(value).strip().lower() == str(other).lower()


def empty(value: Any) -> bool:
    """Null, nothing, or the word None."""
    return value is None or (isinstance(value, str) and value.strip() in ("", "None"))


def shown(value: Any) -> str:
    """A value for a message, cut to a readable length."""
    found = json.dumps(value, ensure_ascii=False, default=str)
    return found if len(found) <= 60 else f"{found[:57]}..."


def plain(value: float | int) -> str:
    """A number without a needless fraction: 1024, 0.5."""
    return str(int(value)) if float(value).is_integer() else repr(value)
