"""The value that was probably meant when one of the wrong type was written."""

from __future__ import annotations

import tomllib
import typing
from collections.abc import Iterator
from contextlib import suppress
from typing import Annotated, Any

from pydantic import ConfigDict, TypeAdapter, ValidationError

from trainer.config.keys import Key

_WORDS = {"yes": True, "on": True, "no": False, "off": False}


def coerced(key: Key, value: Any) -> Any:
    """A value that the key accepts and that says the same, or None."""
    annotated: Any = Annotated[(key.field.annotation, key.path, *key.field.metadata)]
    adapter = TypeAdapter[Any](annotated, config=ConfigDict(strict=True))
    for candidate in _readings(value):
        try:
            return adapter.validate_python(candidate)
        except ValidationError:
            continue
    return None


def _readings(value: Any) -> Iterator[Any]:
    if isinstance(value, str):
        text = value.strip()
        if text.lower() in _WORDS:
            yield _WORDS[text.lower()]
        with suppress(tomllib.TOMLDecodeError):
            yield tomllib.loads(f"v = {text.lower()}")["v"]
        yield text.lower()
    if isinstance(value, float) and value.is_integer():
        yield int(value)
    if isinstance(value, bool):
        yield str(value).lower()
    if isinstance(value, int | float) and not isinstance(value, bool):
        yield str(value)
    if not isinstance(value, list | dict):
        yield [value]


def words(key: Key) -> str:
    """The type of a key in words."""
    if typing.get_origin(key.field.annotation) is list:
        return "a list"
    text = f"{key.field.annotation} {key.field.metadata}".replace("typing.", "")
    if "_number_means_area" in text:
        return "a resolution such as 1024px2, 1.0mp or 1024px"
    if "_share" in text:
        return "a number of steps, or a share such as 0.05 or 5%"
    if "tuple" in text:
        return "a pair of numbers"
    names = {"bool": "true or false", "int": "a whole number", "float": "a number", "str": "a text"}
    for name, meaning in names.items():
        if f"'{name}'" in text or text.startswith(name):
            return meaning
    return text
