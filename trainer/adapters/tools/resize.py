"""Another rank with as little loss as can be: the largest singular directions are kept.

Which are kept follows from a rank, from a share of the energy (squared singular values), or from
the least singular value. A layer that keeps all of its rank is left as it is, to the bit. DoRA's
lengths stay.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from trainer.adapters.tools import spectrum
from trainer.adapters.tools.output import claim, one_family, same_layout, told_family
from trainer.adapters.tools.read import load_whole
from trainer.adapters.tools.record import Part
from trainer.adapters.tools.write import save
from trainer.errors import DataError
from trainer.findings import finding


@dataclass(frozen=True, slots=True)
class Limit:
    """What to keep; the strictest of those that are given decides, but one direction stays."""

    rank: int | None = None
    energy: float | None = None  # share 0..1 of the squared singular values
    norm: float | None = None  # singular values of the change below it go

    def check(self) -> None:
        if self.rank is None and self.energy is None and self.norm is None:
            raise DataError(
                finding("LOR033", "no new size was given", fix="give --rank, --energy or --norm")
            )
        if self.rank is not None and self.rank < 1:
            raise _bounds("--rank", self.rank, "1 or more")
        if self.energy is not None and not 0.0 < self.energy <= 1.0:
            raise _bounds("--energy", self.energy, "a share above 0 and at most 1")
        if self.norm is not None and not 0.0 <= self.norm < math.inf:
            raise _bounds("--norm", self.norm, "0 or more")

    def count(self, values: Tensor) -> int:
        """How many of the singular values, in falling order, are kept."""
        keep = len(values)
        if self.rank is not None:
            keep = min(keep, self.rank)
        if self.energy is not None and self.energy < 1.0:
            share = values.square().cumsum(0) / values.square().sum().clamp(min=1e-300)
            keep = min(keep, int((share < self.energy).sum()) + 1)
        if self.norm is not None:
            keep = min(keep, int((values >= self.norm).sum()))
        return max(keep, 1)


def _bounds(option: str, value: float, fix: str) -> DataError:
    return DataError(finding("LOR033", f"{option} {value} is out of bounds", fix=f"give {fix}"))


def resize(
    file: Path, out: Path, limit: Limit, *, family: str | None = None, force: bool = False
) -> dict[str, Any]:
    limit.check()
    adapter = load_whole(file, family)
    certain = one_family(file, adapter)
    claim(out, force=force)
    rows, parts = [], []
    for part in adapter.parts:
        made, kept = smaller(part, limit)
        parts.append(made)
        rows.append(
            {"layer": part.name, "rank": part.rank, "new_rank": made.rank, "energy": round(kept, 6)}
        )
    save(out, adapter.with_parts(parts), same_layout(adapter), certain)
    return {"file": str(out), "family": told_family(adapter), "layers": rows}


def smaller(part: Part, limit: Limit) -> tuple[Part, float]:
    """The part in its new size, and the share of its energy that is kept."""
    pair = spectrum.pair_of(part)
    if pair is None:
        raise DataError(
            finding(
                "LOR030",
                f"{part.name} is a {part.algo}, which has no smaller form of its own",
                where=part.name,
                fix="resize files of plain LoRA or DoRA",
            )
        )
    u, s, v = spectrum.thin_svd(pair)
    keep = limit.count(s)
    total = s.square().sum()
    kept = float(s[:keep].square().sum() / total) if bool(total > 0) else 1.0
    if keep >= part.rank:
        return part, 1.0
    return spectrum.rebuilt(part, u[:, :keep], s[:keep], v[:keep]), kept


def truncated(part: Part, rank: int) -> Part:
    return smaller(part, Limit(rank=rank))[0] if part.rank > rank else part


def energies(part: Part) -> Tensor:
    """Share of the energy that each rank keeps."""
    pair = spectrum.pair_of(part)
    assert pair is not None, part.name
    squares = spectrum.values(pair).square()
    return squares.cumsum(0) / squares.sum().clamp(min=torch.finfo(torch.float64).tiny)
