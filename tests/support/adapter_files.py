"""Adapter files of any family without its model: shapes from the golden lists, random values."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from trainer.adapters.tools.record import DENOISER, DORA, DOWN, UP, Adapter, Part
from trainer.adapters.tools.write import save

GOLDEN = Path(__file__).parents[1] / "golden" / "adapters"


def shapes(kind: str) -> dict[str, tuple[list[int], list[int]]]:
    """Module -> shapes of down and up, of the widest adapter of the tiny model."""
    found: dict[str, dict[str, list[int]]] = {}
    for line in (GOLDEN / f"{kind}-diffusers.txt").read_text().splitlines():
        name, _, shape = line.partition(" ")
        module, half = re.fullmatch(r"[a-z]+\.(.*)\.lora_([AB])\.weight", name).groups()  # type: ignore[union-attr]
        found.setdefault(module, {})[half] = [int(n) for n in re.findall(r"\d+", shape)]
    return {module: (held["A"], held["B"]) for module, held in found.items()}


def noise(shape: Sequence[int], seed: int, dtype: torch.dtype = torch.float32) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return (torch.randn(*shape, generator=generator) * 0.1).to(dtype)


def lora(
    kind: str,
    *,
    rank: int = 4,
    alpha: float | None = 2.0,
    seed: int = 0,
    dora: bool = False,
    dtype: torch.dtype = torch.float32,
    only: str = "",
) -> Adapter:
    """Of all layers, or of those whose name has `only` in it."""
    parts = []
    for number, (module, (down, up)) in enumerate(shapes(kind).items()):
        if only not in module:
            continue
        tensors = {
            DOWN: noise([rank, *down[1:]], seed + 2 * number, dtype),
            UP: noise([up[0], rank, *up[2:]], seed + 2 * number + 1, dtype),
        }
        if dora:
            tensors[DORA] = noise([up[0], *(1 for _ in down[1:])], seed + 999 + number).abs() + 1
        held = None if alpha is None else torch.tensor(alpha)
        parts.append(Part(DENOISER, module, tensors, held))
    return Adapter(tuple(parts), {"format": "pt", "note": "kept"}, "diffusers", (kind,))


def written(path: Path, adapter: Adapter, layout: str = "diffusers") -> Path:
    family = adapter.family
    assert family is not None
    save(path, adapter, layout, family)
    return path
