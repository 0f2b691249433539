"""Denoisers that take adapters, also those that diffusers gives no interface for it.

PixArt, OmniGen and Stable Cascade lack the mixin that adds, switches and loads adapters
(families.md §7), though PEFT works on them. Such a module gets a class of the same name with the
mixin; its weights, its forward and what it saves stay the same.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from torch import nn


def adaptable(module: nn.Module) -> nn.Module:
    """The same module, with diffusers' adapter interface."""
    from diffusers.loaders import PeftAdapterMixin

    if not isinstance(module, PeftAdapterMixin):
        module.__class__ = _with_adapters(type(module))
    return module


@cache
def _with_adapters(cls: type[nn.Module]) -> Any:
    from diffusers.loaders import PeftAdapterMixin

    return type(cls.__name__, (cls, PeftAdapterMixin), {"__module__": cls.__module__})
