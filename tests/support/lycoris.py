"""LyCORIS adapters of every algorithm on tiny models."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from tests.support.families import tiny_config, tiny_family
from trainer.adapters.build import build_trainable
from trainer.catalog.lycoris import ALGORITHMS


def of(algo: str, *, rank: int = 4, dora: bool = False, **lycoris: Any) -> dict[str, Any]:
    adapter = {"rank": rank, "alpha": 2.0, "lycoris": {"algo": algo} | lycoris}
    return adapter | ({"dora": True} if dora else {})


PLAIN = {name: of(name) for name in ALGORITHMS}
CASES: dict[str, dict[str, Any]] = PLAIN | {
    "lora+dora": of("lora", dora=True),
    "loha+dora": of("loha", dora=True),
    "lokr+dora": of("lokr", dora=True, factor=4),
    "lokr whole": of("lokr", full_matrix=True, factor=4),
    "lokr split": of("lokr", rank=2, decompose_both=True, factor=-1),
    "dylora blocks": of("dylora", block_size=2),
    "diag-oft limited": of("diag-oft", constraint=1e-3, rescaled=True),
    "boft limited": of("boft", constraint=1e-3, rescaled=True),
    "glora rs": of("glora") | {"rslora": True},
}

BOTH = [("sd1x", name) for name in (*PLAIN, "loha+dora")] + [("flux", name) for name in CASES]


def wide(family: str, case: str) -> dict[str, Any]:
    """The case with more layers, convolutions among them; BOFT cannot divide Flux's 192 outputs."""
    preset = {"sd1x": "transformers+convs", "flux": "blocks"}[family]
    return CASES[case] | ({} if (family, case[:4]) == ("flux", "boft") else {"preset": preset})


def fresh(name: str, path: Path, *, dtype: torch.dtype = torch.float32, **adapter: Any) -> Any:
    """A family and a new adapter on it, LyCORIS if nothing else is said."""
    family = tiny_family(name, path, "text", "denoiser")
    config = tiny_config(name, path, adapter={"kind": "lycoris"} | adapter)
    return family, build_trainable(config, family, dtype)


def moved(adapter: Any, by: float = 0.05) -> None:
    """As if trained: every weight a little elsewhere."""
    generator = torch.Generator().manual_seed(5)
    for parameter in adapter.parameters().values():
        step = torch.randn(parameter.shape, generator=generator) * by
        parameter.data.add_(step.to(parameter.dtype))
