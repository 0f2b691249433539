"""Nested state (dicts, lists, numbers, tensors) as one JSON document plus one safetensors file.

Optimisers keep tensors and plain values side by side. Tensors move to the safetensors file and
leave a reference; floats survive exactly, because JSON prints them with all their digits. No
pickle is ever written or read.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor

_REF = "__tensor__"
_INT_KEYS = "__int_keys__"


Seen = dict[tuple[Any, ...], str]  # what a tensor looks at -> path under which it is stored


def flatten(
    value: Any, tensors: dict[str, Tensor], path: str = "", seen: Seen | None = None
) -> Any:
    """JSON form of `value`; its tensors are added to `tensors` under their path.

    A tensor that stands in several places (a table that all weights share) is stored once.
    """
    seen = {} if seen is None else seen
    if isinstance(value, Tensor):
        looks_at = (value.data_ptr(), value.dtype, value.shape, value.stride(), value.device)
        first = seen.setdefault(looks_at, path) if value.numel() else path
        if first == path:
            tensors[path] = value.detach().to("cpu").contiguous()
        return {_REF: first}
    if isinstance(value, dict):
        document = {str(k): flatten(v, tensors, f"{path}/{k}", seen) for k, v in value.items()}
        if any(isinstance(k, int) for k in value):
            document[_INT_KEYS] = True
        return document
    if isinstance(value, (list, tuple)):
        return [flatten(v, tensors, f"{path}/{i}", seen) for i, v in enumerate(value)]
    assert value is None or isinstance(value, (bool, int, float, str)), (
        f"state at {path} has type {type(value).__name__}, which cannot be stored"
    )
    return value


def restore(document: Any, tensors: dict[str, Tensor]) -> Any:
    if isinstance(document, dict):
        if _REF in document:
            return tensors[document[_REF]]
        integer = document.pop(_INT_KEYS, False)
        return {(int(k) if integer else k): restore(v, tensors) for k, v in document.items()}
    if isinstance(document, list):
        return [restore(v, tensors) for v in document]
    return document
