"""Headers of adapter files: alphas of the Diffusers layout, and our notes for the way back.

Only what a layout cannot say in its tensors is noted: the form of alpha tensors (`stune.alpha`)
where it is unusual, the ranks inside fused layers (`stune.fused`), and that PEFT's settings were
made here (`stune.made`), so that they go again with the layout that needs them. In files with alpha
tensors PEFT's settings are kept under another key (`stune.peft`): diffusers' loader would apply
both.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from trainer.adapters.plain import METADATA_KEY
from trainer.adapters.tools.record import DORA, Part

ALPHA, FUSED, MADE, PEFT = "stune.alpha", "stune.fused", "stune.made", "stune.peft"


def config_of(metadata: Mapping[str, str], component: str) -> dict[str, Any]:
    """PEFT's settings of one component."""
    try:
        packed = json.loads(metadata.get(METADATA_KEY, "{}"))
    except ValueError:
        return {}
    if not isinstance(packed, dict):
        return {}
    start = f"{component}."
    return {k.removeprefix(start): v for k, v in packed.items() if k.startswith(start)}


def alpha_of(metadata: Mapping[str, str], component: str, module: str) -> Tensor | None:
    value = by_pattern(config_of(metadata, component), "alpha_pattern", "lora_alpha", module)
    return None if value is None else _shaped(metadata, float(value))


def by_pattern(config: Mapping[str, Any], patterns: str, default: str, module: str) -> Any:
    """PEFT's rule: a pattern matches the end of a module name, at a dot."""
    for pattern, value in (config.get(patterns) or {}).items():
        if re.match(rf"(.*\.)?({pattern})$", module):
            return value
    return config.get(default)


def _shaped(metadata: Mapping[str, str], value: float) -> Tensor:
    dtype, shape = json.loads(metadata.get(ALPHA, '["float32", []]'))
    return torch.full(shape, value, dtype=getattr(torch, dtype))


def alpha_note(parts: Sequence[Part]) -> dict[str, str]:
    """Of the first alpha, when it is not what would be made anyway."""
    alpha = next((part.alpha for part in parts if part.alpha is not None), None)
    if alpha is None or (alpha.dtype == torch.float32 and alpha.ndim == 0):
        return {}
    return {ALPHA: json.dumps([str(alpha.dtype).removeprefix("torch."), list(alpha.shape)])}


def peft_note(
    metadata: Mapping[str, str], components: Mapping[str, Sequence[Part]]
) -> dict[str, str]:
    """The settings for PEFT; those in the header stay when they still say the same."""
    told = all(part.alpha is None for parts in components.values() for part in parts)
    if told and METADATA_KEY not in metadata:
        return {}
    if all(_agrees(config_of(metadata, name), parts) for name, parts in components.items()):
        return {}
    packed: dict[str, Any] = {}
    for name, parts in components.items():
        packed |= {f"{name}.{key}": value for key, value in _config(parts).items()}
    made = {} if METADATA_KEY in metadata else {MADE: METADATA_KEY}
    return made | {METADATA_KEY: json.dumps(packed, indent=2, sort_keys=True)}


def without_notes(metadata: Mapping[str, str]) -> dict[str, str]:
    """What the file's author wrote."""
    ours = {ALPHA, FUSED, MADE} | ({METADATA_KEY} if MADE in metadata else set())
    found = {key: value for key, value in metadata.items() if key not in ours}
    if PEFT in found:
        found.setdefault(METADATA_KEY, found.pop(PEFT))
    return found


def beside_alphas(metadata: Mapping[str, str]) -> dict[str, str]:
    """The header for a layout that has alpha tensors."""
    found = dict(metadata)
    if METADATA_KEY in found:
        found[PEFT] = found.pop(METADATA_KEY)
    return found


def _agrees(config: Mapping[str, Any], parts: Sequence[Part]) -> bool:
    return all(
        by_pattern(config, "alpha_pattern", "lora_alpha", part.module) == _alpha(part)
        and by_pattern(config, "rank_pattern", "r", part.module) == part.rank
        for part in parts
    )


def _alpha(part: Part) -> float:
    return float(part.rank if part.alpha is None else part.alpha)


def _config(parts: Sequence[Part]) -> dict[str, Any]:
    rank, alpha = Counter((part.rank, _alpha(part)) for part in parts).most_common(1)[0][0]
    table = {
        "r": rank,
        "lora_alpha": alpha,
        "lora_dropout": 0.0,
        "bias": "none",
        "target_modules": sorted(part.module for part in parts),
        "rank_pattern": {f"^{p.module}": p.rank for p in parts if p.rank != rank},
        "alpha_pattern": {f"^{p.module}": _alpha(p) for p in parts if _alpha(p) != alpha},
    }
    return table | ({"use_dora": True} if any(DORA in part.tensors for part in parts) else {})
