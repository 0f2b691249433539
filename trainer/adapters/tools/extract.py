"""The difference of two checkpoints as a LoRA, layer by layer.

One pair of weights is in memory at a time. The strongest directions are found by a randomised
singular value decomposition (Halko et al., 0909.4061); the whole energy is known from the
difference itself, so a share of it can be asked for without all singular values.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from trainer.adapters.keys.table import Rows
from trainer.adapters.tools import fuse
from trainer.adapters.tools.output import claim
from trainer.adapters.tools.problems import unknown_family
from trainer.adapters.tools.record import DENOISER, DOWN, UP, Adapter, Part
from trainer.adapters.tools.stream import DTYPES, Stored
from trainer.adapters.tools.weights import WEIGHT, Weights, family_of, meaning, misfit, open_weights
from trainer.adapters.tools.write import save
from trainer.catalog import family_facts
from trainer.errors import DataError
from trainer.findings import Finding, finding

OVERSAMPLING, ITERATIONS = 10, 4
SEED = 0
_FLOATS = {"F64", "F32", "F16", "BF16", "F8_E4M3", "F8_E5M2"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    rank: int = 32  # at most
    energy: float | None = None  # share of the squared singular values, per layer
    dtype: torch.dtype = torch.float32
    layout: str = "diffusers"

    def check(self) -> None:
        if self.rank < 1 or (self.energy is not None and not 0.0 < self.energy <= 1.0):
            problem = f"--rank {self.rank}, --energy {self.energy}: out of bounds"
            fix = "give a rank of 1 or more, and a share above 0 and at most 1"
            raise DataError(finding("LOR033", problem, fix=fix))


def extract(
    base: Path,
    tuned: Path,
    out: Path,
    wanted: Wanted,
    *,
    family: str | None = None,
    force: bool = False,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> tuple[dict[str, Any], list[Finding]]:
    wanted.check()
    certain = family or family_of(base) or family_of(tuned)
    if certain is None:
        raise DataError(unknown_family(str(base), ()))
    claim(out, force=force)
    first, second = (open_weights(place, certain) for place in (base, tuned))
    if first.original != second.original:
        raise misfit(tuned, "one model has diffusers' names, the other the original ones")
    findings = _unpaired(first, second, tuned)
    parts: list[Part] = []
    rows: list[dict[str, Any]] = []
    names = [name for name in first.tensors if name in second.tensors]
    for done, name in enumerate(names):
        on_progress(done, len(names))
        found = _layer(first, second, name, certain, wanted)
        if isinstance(found, Finding):
            findings.append(found)
        elif found is not None:
            parts += found[0]
            rows.append(found[1])
    if not parts:
        raise misfit(tuned, "its layers are equal to those of the base")
    facts = family_facts(certain)
    notes = {
        "format": "pt",
        "modelspec.architecture": f"{facts.architecture}/lora",
        "family": certain,
    }
    save(out, Adapter(tuple(parts), notes), wanted.layout, certain)
    return {"file": str(out), "family": certain, "layers": rows}, findings


def _layer(
    first: Weights, second: Weights, name: str, family: str, wanted: Wanted
) -> tuple[list[Part], dict[str, Any]] | Finding | None:
    """Parts of one tensor; None when nothing changed, a finding when it cannot be told as LoRA."""
    one, other = first.tensors[name], second.tensors[name]
    if one.shape != other.shape:
        raise misfit(second.place, f"{name} has the shape {other.shape}, in the base {one.shape}")
    if one.dtype not in _FLOATS:
        return None
    match = meaning(first, family, name.removesuffix(WEIGHT)) if name.endswith(WEIGHT) else None
    change = difference(one, other)
    energy = float(change.square_().sum(dtype=torch.float64)) if match is None else _energy(change)
    if energy == 0.0:
        return None
    if match is None or change.ndim < 2:
        return _lost(second.place, name, energy)
    up, down, kept = directions(change, wanted, energy)
    rank = up.shape[1]
    kernel = [1 for _ in one.shape[2:]]
    tensors = {
        DOWN: down.to(wanted.dtype).view(rank, *one.shape[1:]).contiguous(),
        UP: up.to(wanted.dtype).view(one.shape[0], rank, *kernel).contiguous(),
    }
    whole = Part(DENOISER, match.theirs, tensors)
    row = {"layer": name.removesuffix(WEIGHT), "rank": rank, "energy": round(kept, 6)}
    return _ours(whole, match.ours, match.rows), row


def _ours(whole: Part, names: tuple[str, ...], rows: Rows) -> list[Part]:
    if rows in (Rows.EQUAL, Rows.INPUTS):
        return fuse.split(whole, names, rows, None)
    part = fuse.swapped(whole) if rows == Rows.SWAPPED else whole
    return [Part(part.component, names[0], part.tensors, part.alpha)]


def difference(one: Stored, other: Stored) -> Tensor:
    """In fp32, with no more than one other tensor of this size beside it."""
    change = one.read()
    change = change if change.dtype == torch.float32 else change.float()
    tuned = other.read()
    if DTYPES[other.dtype].itemsize == 1:  # fp8 has no arithmetic
        tuned = tuned.float()
    return change.neg_().add_(tuned)


def _energy(change: Tensor) -> float:
    return float(torch.linalg.vector_norm(change, dtype=torch.float64)) ** 2


def directions(change: Tensor, wanted: Wanted, energy: float) -> tuple[Tensor, Tensor, float]:
    """Up [outputs, rank] and down [rank, inputs], and the share of the energy they hold."""
    matrix = change.flatten(1)
    most = min(wanted.rank, *matrix.shape)
    tried = min(most + OVERSAMPLING, *matrix.shape)
    with torch.random.fork_rng():
        torch.manual_seed(SEED)
        u, s, v = torch.svd_lowrank(matrix, q=tried, niter=ITERATIONS)
    share = s.double().square().cumsum(0) / energy
    keep = most
    if wanted.energy is not None:
        keep = min(most, int((share < wanted.energy).sum()) + 1)
    # directions that are nothing but rounding would only make the file larger
    noise = s[0] * torch.finfo(torch.float32).eps * max(matrix.shape) ** 0.5
    keep = max(1, min(keep, int((s > noise).sum())))
    root = s[:keep].sqrt()
    return u[:, :keep] * root, root[:, None] * v[:, :keep].T, min(float(share[keep - 1]), 1.0)


def _unpaired(first: Weights, second: Weights, tuned: Path) -> list[Finding]:
    odd = sorted(first.tensors.keys() ^ second.tensors.keys())
    if not odd:
        return []
    return [
        finding(
            "LOR032",
            f"{len(odd)} tensors are in one of the models only, first {odd[0]}",
            where=str(tuned),
            level="warn",
            why="their difference is not part of the adapter",
            keys=odd[:100],
        )
    ]


def _lost(place: Path, name: str, energy: float) -> Finding:
    return finding(
        "LOR032",
        f"{name} differs by {energy**0.5:.3g}, which a LoRA cannot hold",
        where=str(place),
        level="warn",
        why="norms, biases and unknown layers have no adapter",
    )
