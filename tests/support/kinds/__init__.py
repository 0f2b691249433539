"""The kinds of models that the family suite runs on: one file each, found by their names."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from pkgutil import iter_modules

from tests.support.kinds.base import Kind

KINDS = tuple(sorted(m.name for m in iter_modules(__path__) if m.name != "base"))


@cache
def kind_of(name: str) -> Kind:
    return import_module(f"{__name__}.{name}").KIND


def layouts_of(name: str) -> tuple[str, ...]:
    """File layouts that some program loads adapters of this kind from."""
    return ("diffusers", "comfyui") if kind_of(name).comfyui else ("diffusers",)


IN_COMFYUI = tuple(name for name in KINDS if kind_of(name).comfyui)
