"""Layers that one model keeps apart and another fuses (`qkv`), for their adapters.

Fusing pairs that share their down matrix stacks the ups; others become one pair whose up matrix has
a block for each, of the sum of the ranks. Both have the same effect, and are taken apart again
exactly: the ranks of the blocks travel in the header (`stune.fused`), and without it blocks are
seen by the zeros around them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise

import torch
from torch import Tensor

from trainer.adapters.keys.table import Rows
from trainer.adapters.tools.problems import inexpressible
from trainer.adapters.tools.record import DORA as SCALE
from trainer.adapters.tools.record import DOWN, MID, UP, Part

# Of each part: its rank, and its alpha (None where the file has none).
Note = list[tuple[int, float | None]]


def fuse(
    name: str, rows: Rows, parts: Sequence[Part | None], sizes: Sequence[int]
) -> tuple[Part, Note | None]:
    """One part of the ones given (None: not adapted) with these numbers of outputs."""
    given = [part for part in parts if part is not None]
    if any(part.algo != "lora" or MID in part.tensors for part in given):
        raise inexpressible(name, "its fused projection takes plain LoRA pairs only")
    dora = [SCALE in part.tensors for part in given]
    if any(dora) and not (all(dora) and len(given) == len(parts)):
        raise inexpressible(name, "DoRA is on some parts of its fused projection only")
    first = given[0]
    if _shared(given) and len(given) == len(parts):
        up = torch.cat([part.tensors[UP] for part in given])
        tensors, alpha, note = {DOWN: first.tensors[DOWN], UP: up}, first.alpha, None
    else:
        tensors, alpha, note = _blocks(parts, sizes)
    if all(dora):
        tensors[SCALE] = torch.cat([part.tensors[SCALE] for part in given])
    return Part(first.component, name, tensors, alpha), note


def _shared(parts: Sequence[Part]) -> bool:
    first = parts[0]
    return all(
        torch.equal(part.tensors[DOWN], first.tensors[DOWN]) and _same(part.alpha, first.alpha)
        for part in parts
    )


def _same(one: Tensor | None, other: Tensor | None) -> bool:
    if one is None or other is None:
        return one is other
    return one.dtype == other.dtype and float(one) == float(other)


def _blocks(parts: Sequence[Part | None], sizes: Sequence[int]):
    """Downs on top of each other, ups along the diagonal; the scale of the first part for all."""
    given = [part for part in parts if part is not None]
    scale = given[0].scale
    rank = sum(part.rank for part in given)
    dtype = given[0].tensors[UP].dtype
    if any(part.scale != scale for part in given):
        dtype = torch.float32  # the factor between two scales would round halves
    up = torch.zeros(sum(sizes), rank, *given[0].tensors[UP].shape[2:], dtype=dtype)
    row = column = 0
    note: Note = []
    for part, size in zip(parts, sizes, strict=True):
        if part is None:
            note.append((0, None))
        else:
            block = part.tensors[UP]
            if part.scale != scale:
                block = block.float() * (part.scale / scale)
            up[row : row + size, column : column + part.rank] = block
            column += part.rank
            kept = part.alpha if part.scale == scale else None
            note.append((part.rank, scale * part.rank if kept is None else float(kept)))
        row += size
    bare = all(part.alpha is None for part in given)
    if bare:
        note = [(rank, None) for rank, _ in note]
    down = torch.cat([part.tensors[DOWN] for part in given])
    like = next((part.alpha for part in given if part.alpha is not None), torch.tensor(0.0))
    alpha = None if bare else torch.full_like(like, scale * rank)
    return {DOWN: down, UP: up}, alpha, note


def split(part: Part, names: Sequence[str], rows: Rows, note: Note | None) -> list[Part]:
    """The parts of a fused one; what has no weight of its own in it is left out."""
    sizes = sizes_of(part, len(names), rows)
    if part.algo == "lora" and MID not in part.tensors:
        blocks = _told(part, note, sizes) or _seen(part, sizes)
        if blocks is not None:
            return _apart(part, names, sizes, blocks)
    rowed = {"lora": UP, "full": "diff"}
    held = {name: list(t.split(sizes)) for name, t in part.tensors.items() if name == SCALE}
    if part.algo in rowed and MID not in part.tensors:
        by_row = [rowed[part.algo], "diff_b"]
    elif part.algo == "loha" and "hada_t1" not in part.tensors:
        by_row = ["hada_w1_a", "hada_w2_a"]
    else:
        raise inexpressible(part.module, f"a fused {part.algo} cannot be taken apart")
    held |= {name: list(part.tensors[name].split(sizes)) for name in by_row if name in part.tensors}
    found = []
    for number, name in enumerate(names):
        tensors = {k: held[k][number].clone() if k in held else t for k, t in part.tensors.items()}
        found.append(replace(part, module=name, tensors=tensors))
    return found


def outputs(part: Part) -> int:
    """Outputs of the adapted layer; 0 where the tensors do not tell."""
    for name in (UP, "diff", "hada_w1_a"):
        if name in part.tensors:
            return part.tensors[name].shape[0]
    return 0


def inputs(part: Part) -> int:
    """Inputs of the adapted layer; 0 where the tensors do not tell."""
    for name in (DOWN, "diff", "hada_w1_b"):
        if name in part.tensors and part.tensors[name].ndim > 1:
            return part.tensors[name].shape[1]
    return 0


def sizes_of(part: Part, count: int, rows: Rows) -> list[int]:
    """Outputs of each part of a fused layer."""
    whole, width = outputs(part), inputs(part)
    if not whole:
        raise inexpressible(part.module, f"a fused {part.algo} cannot be taken apart")
    if rows == Rows.INPUTS:
        sizes = [width] * (count - 1) + [whole - width * (count - 1)]
    else:
        sizes = [whole // count] * count
    if sum(sizes) != whole or min(sizes) <= 0:
        raise inexpressible(part.module, f"its {whole} outputs do not divide into {count} layers")
    return sizes


def _told(part: Part, note: Note | None, sizes: Sequence[int]) -> Note | None:
    """The header's blocks, when the matrix has them."""
    if note is None or len(note) != len(sizes):
        return None
    ranks = [rank for rank, _ in note]
    return note if sum(ranks) == part.rank and _diagonal(part, sizes, ranks) else None


def _seen(part: Part, sizes: Sequence[int]) -> Note | None:
    """Blocks of equal rank that all have something in them."""
    rank, rest = divmod(part.rank, len(sizes))
    if rest or not rank or not _diagonal(part, sizes, [rank] * len(sizes)):
        return None
    blocks = zip(part.tensors[UP].split(list(sizes)), range(len(sizes)), strict=True)
    if not all(bool(t[:, n * rank : (n + 1) * rank].any()) for t, n in blocks):
        return None
    alpha = None if part.alpha is None else part.scale * rank
    return [(rank, alpha)] * len(sizes)


def _diagonal(part: Part, sizes: Sequence[int], ranks: Sequence[int]) -> bool:
    edges = [sum(ranks[:n]) for n in range(len(ranks) + 1)]
    for rows, (start, end) in zip(
        part.tensors[UP].split(list(sizes)), pairwise(edges), strict=True
    ):
        if bool(rows[:, :start].any()) or bool(rows[:, end:].any()):
            return False
    return True


def _apart(part: Part, names: Sequence[str], sizes: Sequence[int], blocks: Note) -> list[Part]:
    found, row, column = [], 0, 0
    for name, size, (rank, alpha) in zip(names, sizes, blocks, strict=True):
        if rank:
            tensors = {
                DOWN: part.tensors[DOWN][column : column + rank].clone(),
                UP: part.tensors[UP][row : row + size, column : column + rank].clone(),
            }
            if SCALE in part.tensors:
                tensors[SCALE] = part.tensors[SCALE][row : row + size].clone()
            kept = None
            if alpha is not None and part.alpha is not None:
                kept = torch.full_like(part.alpha, alpha)
            found.append(Part(part.component, name, tensors, kept))
        row, column = row + size, column + rank
    return found


def swapped(part: Part) -> Part:
    """The halves of the outputs change places; twice is the identity."""
    changed: Mapping[str, int] = {UP: 0, SCALE: 0, "diff": 0, "diff_b": 0}
    if part.algo == "loha":
        changed = {"hada_w1_a": 0, "hada_w2_a": 0, SCALE: 0}
    elif part.algo not in ("lora", "full"):
        raise inexpressible(part.module, f"the outputs of a {part.algo} cannot be reordered")
    tensors = dict(part.tensors)
    for name in changed.keys() & tensors.keys():
        tensors[name] = torch.cat(list(reversed(tensors[name].chunk(2))))
    return replace(part, tensors=tensors)
