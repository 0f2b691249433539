"""Several adapters as one: the weighted sum of what they do.

The pairs of a layer are put side by side, which is exact and adds up the ranks; `rank` cuts the sum
down afterwards by its singular values. DoRA is refused: its lengths divide by the whole changed
weight, so two of them do not add up.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from trainer.adapters.tools.output import claim, one_family, same_layout
from trainer.adapters.tools.read import load_whole
from trainer.adapters.tools.record import DORA, DOWN, MID, UP, Adapter, Part
from trainer.adapters.tools.resize import truncated
from trainer.adapters.tools.write import save
from trainer.errors import DataError
from trainer.findings import finding

Weighted = tuple[Part, float]
_HEADER = ("modelspec.", "ss_base_model_version", "format", "family")


def merge(
    files: Sequence[tuple[Path, float]],
    out: Path,
    *,
    rank: int | None = None,
    family: str | None = None,
    force: bool = False,
) -> dict[str, Any]:
    """Files with their weights; the result is in the layout of the first one."""
    if rank is not None and rank < 1:
        problem = finding("LOR033", f"--rank {rank} is out of bounds", fix="give 1 or more")
        raise DataError(problem)
    adapters = [load_whole(path, family) for path, _ in files]
    certain = _family([path for path, _ in files], adapters)
    claim(out, force=force)
    held: dict[tuple[str, str], list[Weighted]] = {}
    for adapter, (_, weight) in zip(adapters, files, strict=True):
        for key, part in adapter.by_name().items():
            held.setdefault(key, []).append((part, weight))
    parts = [total(found) for found in held.values()]
    if rank is not None:
        parts = [truncated(part, rank) if part.algo == "lora" else part for part in parts]
    first = adapters[0]
    notes = {k: v for k, v in first.metadata.items() if k.startswith(_HEADER)}
    save(out, Adapter(tuple(parts), notes), same_layout(first), certain)
    return {
        "file": str(out),
        "family": certain,
        "layers": len(parts),
        "rank": max((part.rank for part in parts), default=0),
        "of": [{"file": str(path), "weight": weight} for path, weight in files],
    }


def _family(paths: Sequence[Path], adapters: Sequence[Adapter]) -> str:
    """One that all of them may be of; the surest file decides."""
    common = [f for f in adapters[0].families if all(f in a.families for a in adapters)]
    if not common:
        raise DataError(
            finding(
                "LOR030",
                "the files are of different families: "
                + "; ".join(
                    f"{p.name}: {' or '.join(a.families) or 'unknown'}"
                    for p, a in zip(paths, adapters, strict=True)
                ),
                where=str(paths[0]),
                fix="merge adapters of one family, or name it with --family",
            )
        )
    return one_family(paths[0], replace(adapters[0], families=tuple(common)))


def total(found: Sequence[Weighted]) -> Part:
    """The sum of what is said of one layer."""
    parts = [part for part, _ in found]
    first, weight = found[0]
    if len(found) == 1 and weight == 1.0:
        return first
    if any(DORA in part.tensors for part in parts):
        raise _refused(first, "DoRA's lengths do not add up")
    if all(part.algo == "lora" and MID not in part.tensors for part in parts):
        return _side_by_side(found)
    if all(part.algo == "full" for part in parts):
        names = {name for part in parts for name in part.tensors}
        tensors = {
            n: sum((p.tensors[n].float() * w for p, w in found if n in p.tensors), torch.zeros(()))
            for n in sorted(names)
        }
        kept = {name: t.to(_like(parts, name)) for name, t in tensors.items()}
        return Part(first.component, first.module, kept)
    if len(found) == 1 and first.ranked:
        return replace(first, alpha=torch.tensor(first.scale * weight * first.rank))
    raise _refused(first, f"{' and '.join(sorted({p.algo for p in parts}))} cannot be added up")


def _like(parts: Sequence[Part], name: str) -> torch.dtype:
    return next(part.tensors[name].dtype for part in parts if name in part.tensors)


def _side_by_side(found: Sequence[Weighted]) -> Part:
    """One scale for all where they agree, so that values stay as they are; else scale 1."""
    first = found[0][0]
    scales = [part.scale * weight for part, weight in found]
    common = scales[0] if len(set(scales)) == 1 and scales[0] else 1.0
    if len({tuple(p.tensors[UP].shape[:1] + p.tensors[DOWN].shape[1:]) for p, _ in found}) > 1:
        raise _refused(first, "the files have it in different shapes")
    dtype = found[0][0].tensors[UP].dtype
    for part, _ in found:
        dtype = torch.promote_types(dtype, part.tensors[UP].dtype)
    ups = [
        part.tensors[UP].to(dtype) * (scale / common) if scale != common else part.tensors[UP]
        for (part, _), scale in zip(found, scales, strict=True)
    ]
    down = torch.cat([part.tensors[DOWN].to(dtype) for part, _ in found])
    up = torch.cat([t.to(dtype) for t in ups], dim=1)
    alpha = torch.tensor(common * len(down))
    return Part(first.component, first.module, {DOWN: down, UP: up}, alpha)


def _refused(part: Part, why: str) -> DataError:
    return DataError(
        finding(
            "LOR030",
            f"{part.name} cannot be merged: {why}",
            where=part.name,
            fix="bake one adapter into the base after the other: stune lora bake",
        )
    )
