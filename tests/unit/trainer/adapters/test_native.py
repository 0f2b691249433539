"""Adapters of layers that the original model has as one: fused they act the same, and come back."""

from __future__ import annotations

from typing import cast

import torch

from trainer.adapters.layouts import DOWN, UP, AdapterTensors
from trainer.adapters.native import from_native, to_native
from trainer.catalog.facts import Native
from trainer.catalog.families.lumina2 import FACTS

NATIVE = cast("Native", FACTS.comfyui_native)
ROWS = {"attn.to_q": 8, "attn.to_k": 4, "attn.to_v": 4}


def adapter(*, trained: bool = True) -> AdapterTensors:
    """Of one block with grouped queries: 8 inputs, rank 2, alpha 3."""
    torch.manual_seed(0)
    tensors = {}
    for name, rows in (ROWS | {"feed_forward.linear_2": 8}).items():
        tensors[f"layers.4.{name}{DOWN}"] = torch.randn(2, 8)
        tensors[f"layers.4.{name}{UP}"] = torch.randn(rows, 2) * trained
    modules = [name.removesuffix(DOWN) for name in tensors if name.endswith(DOWN)]
    return AdapterTensors(tensors, dict.fromkeys(modules, 3.0))


def change(of: AdapterTensors, module: str) -> torch.Tensor:
    down, up = of.tensors[module + DOWN], of.tensors[module + UP]
    return (up @ down) * (of.alphas[module] / len(down))


def test_the_fused_layer_changes_as_its_parts_do():
    """Stacked, the changes of queries, keys and values are that of the one layer."""
    parts = adapter()
    one = to_native(parts, NATIVE)
    assert sorted(one.modules) == ["layers.4.attention.qkv", "layers.4.feed_forward.w2"]
    expected = torch.cat([change(parts, f"layers.4.{name}") for name in ROWS])
    torch.testing.assert_close(change(one, "layers.4.attention.qkv"), expected)
    assert one.rank("layers.4.attention.qkv") == 6


def test_it_comes_back_bit_for_bit():
    """Names, tensors and alpha; also of an adapter that never learned anything."""
    for trained in (True, False):
        parts = adapter(trained=trained)
        back = from_native(to_native(parts, NATIVE), NATIVE)
        assert back.tensors.keys() == parts.tensors.keys()
        assert all(torch.equal(back.tensors[k], t) for k, t in parts.tensors.items())
        assert back.alphas == parts.alphas
    named = adapter()
    assert from_native(named, NATIVE).tensors.keys() == named.tensors.keys()


def test_an_adapter_trained_on_the_one_layer():
    """Its parts share the input side: each keeps the whole rank, and acts as the layer did."""
    torch.manual_seed(1)
    module = "layers.4.attention.qkv"
    tensors = {module + DOWN: torch.randn(6, 8), module + UP: torch.randn(16, 6)}
    one = AdapterTensors(tensors, {module: 3.0})
    parts = from_native(one, NATIVE)
    assert parts.rank("layers.4.attn.to_k") == 6
    stacked = torch.cat([change(parts, f"layers.4.{name}") for name in ROWS])
    torch.testing.assert_close(stacked, change(one, module))
