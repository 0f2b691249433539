"""diffusers classes by name: loaded when used, and untyped on purpose.

diffusers exports lazily, so a type checker sees neither its names nor that a pipeline accepts None
for a component that is not needed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from typing import Any


def diffusers_class(name: str) -> Any:
    import diffusers

    return getattr(diffusers, name)


def scheduler(name: str, config: Mapping[str, Any]) -> Any:
    """A scheduler of class `name` from another scheduler's configuration."""
    return diffusers_class(name).from_config(dict(config))


@contextmanager
def quiet() -> Iterator[None]:
    """Within the block diffusers logs errors alone: no notices about what is done on purpose."""
    from diffusers.utils import logging

    before = logging.get_verbosity()
    logging.set_verbosity_error()
    try:
        yield
    finally:
        logging.set_verbosity(before)


@cache
def refined(name: str, front: type) -> Any:
    """A class of the same name whose methods are first looked for in `front`.

    For pipelines that would need a line changed to be called as all others are.
    """
    base = diffusers_class(name)
    return type(name, (front, base), {"__module__": base.__module__})
