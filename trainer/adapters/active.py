"""Which of several adapters on one model act.

PEFT's own switches also decide which adapter's weights are trained. A look at the model without
one of them must not change that, so it is the list of acting adapters alone that is changed here.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import nn


def adapted_layers(model: nn.Module) -> list[Any]:
    """The layers that hold adapters."""
    from peft.tuners.tuners_utils import BaseTunerLayer

    return [module for module in model.modules() if isinstance(module, BaseTunerLayer)]


@contextmanager
def without(model: nn.Module, name: str) -> Iterator[None]:
    """Within the block adapter `name` does not act; all others do what they did."""
    layers = adapted_layers(model)
    kept = [layer._active_adapter for layer in layers]
    for layer in layers:
        layer._active_adapter = [n for n in layer.active_adapters if n != name]
    try:
        yield
    finally:
        for layer, active in zip(layers, kept, strict=True):
            layer._active_adapter = active
