"""Adapters for programs that keep the original weights of a family (`facts.comfyui_native`).

Where the original has one layer for several of diffusers' (queries, keys and values), the adapters
of these become one of the sum of their ranks, block by block, which acts the same. It is told from
an adapter that was trained on the one layer, whose parts share their input side, by its zeros.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import torch
from torch import Tensor

from trainer.adapters.layouts import DOWN, UP, AdapterTensors, from_file
from trainer.catalog.facts import FamilyFacts, Native


def to_native(adapter: AdapterTensors, native: Native) -> AdapterTensors:
    """The same adapter for the original layers; layers of one group go together or not at all."""
    out = AdapterTensors({}, {})
    for module in adapter.modules:
        stem, ending = split_name(module, native.renamed)
        if ending:
            _put(out, stem + native.renamed[ending], *_of(adapter, module))
            continue
        group = next((g for g in native.fused if _in_group(module, native.fused[g])), None)
        if group is None:
            _put(out, module, *_of(adapter, module))
            continue
        parts = native.fused[group]
        stem, ending = split_name(module, parts)
        assert all(stem + part + DOWN in adapter.tensors for part in parts), "lint sees to it"
        if ending == parts[0]:
            _put(out, stem + group, *_fused([_of(adapter, stem + part) for part in parts]))
    return out


def from_native(adapter: AdapterTensors, native: Native) -> AdapterTensors:
    """Back to diffusers' layers; names that are diffusers' already stay."""
    names = {new: old for old, new in native.renamed.items()}
    out = AdapterTensors({}, {})
    for module in adapter.modules:
        stem, ending = split_name(module, names)
        if ending:
            _put(out, stem + names[ending], *_of(adapter, module))
            continue
        stem, group = split_name(module, native.fused)
        if not group:
            _put(out, module, *_of(adapter, module))
            continue
        parts = native.fused[group]
        for part, piece in zip(parts, _parted(*_of(adapter, module), len(parts)), strict=True):
            _put(out, stem + part, *piece)
    return out


def split_name(module: str, endings: Iterable[str]) -> tuple[str, str]:
    """What stands before the one of `endings` that a module's name has, and that ending."""
    for ending in endings:
        if module == ending or module.endswith(f".{ending}"):
            return module.removesuffix(ending), ending
    return module, ""


def by_family(
    tensors: Mapping[str, Tensor],
    modules: Iterable[str],
    alphas: Mapping[str, float],
    facts: FamilyFacts | None,
) -> AdapterTensors:
    """Tensors of a file by diffusers' names, also where ComfyUI has others for the family."""
    if facts is None:
        return from_file(tensors, modules, alphas)
    adapter = from_file(tensors, modules, alphas, facts.comfyui_names)
    native = facts.comfyui_native
    return adapter if native is None else from_native(adapter, native)


Pair = tuple[Tensor, Tensor, float]  # down [r, in], up [out, r], alpha


def _in_group(module: str, parts: Sequence[str]) -> bool:
    return bool(split_name(module, parts)[1])


def _of(adapter: AdapterTensors, module: str) -> Pair:
    return adapter.tensors[module + DOWN], adapter.tensors[module + UP], adapter.alphas[module]


def _put(out: AdapterTensors, module: str, down: Tensor, up: Tensor, alpha: float) -> None:
    out.tensors[module + DOWN], out.tensors[module + UP] = down, up
    out.alphas[module] = alpha


def _fused(pairs: Sequence[Pair]) -> Pair:
    downs, ups, alphas = zip(*pairs, strict=True)
    assert len({(len(d), a) for d, a in zip(downs, alphas, strict=True)}) == 1, "of one rank"
    return torch.cat(downs), torch.block_diag(*ups), alphas[0] * len(pairs)


def _parted(down: Tensor, up: Tensor, alpha: float, count: int) -> list[Pair]:
    """Self-attention: the queries are as wide as the input, keys and values share the rest."""
    first = down.shape[1]
    rows = [first, *[(len(up) - first) // (count - 1)] * (count - 1)]
    ups = up.split(rows)
    if len(down) % count == 0:
        rank = len(down) // count
        own = [u[:, n * rank : (n + 1) * rank] for n, u in enumerate(ups)]
        if torch.equal(torch.block_diag(*own), up):
            downs = down.split(rank)
            return [(d, u, alpha / count) for d, u in zip(downs, own, strict=True)]
    return [(down, u, alpha) for u in ups]
