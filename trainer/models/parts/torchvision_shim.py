"""The one function of torchvision that a diffusers model calls on tensors.

torchvision has no build beside every torch, and diffusers imports it only where it is installed.
Cosmos resizes its padding mask with it. Where it is missing, the module is given an object with
that function, on top of torch's own interpolation. An installed torchvision is never touched.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from importlib import import_module
from types import SimpleNamespace
from typing import Any

from torch import Tensor
from torch.nn.functional import interpolate


class InterpolationMode(Enum):
    NEAREST = "nearest"


def resize(image: Tensor, size: Sequence[int], interpolation: InterpolationMode) -> Tensor:
    """[B, C, H, W] to `size`; one mode is all that is asked for."""
    assert interpolation is InterpolationMode.NEAREST, interpolation
    return interpolate(image, size=tuple(size), mode=interpolation.value)


def give_resize(module: str) -> None:
    """Let the diffusers `module` find `transforms`, unless it found torchvision's."""
    target: Any = import_module(module)
    if not hasattr(target, "transforms"):
        functional = SimpleNamespace(resize=resize)
        target.transforms = SimpleNamespace(
            functional=functional, InterpolationMode=InterpolationMode
        )
