"""Compiled blocks: the same numbers, with an adapter, checkpointing and packed weights."""

from __future__ import annotations

import pytest
import torch
from torch._dynamo.utils import counters

from tests.support.families import KINDS, WITHOUT_BLOCKS
from tests.support.trained import trained
from trainer.config.schema.speed import CompileConfig
from trainer.errors import ConfigError
from trainer.memory.blocks import repeated_blocks
from trainer.memory.compile import compile_blocks


@pytest.fixture(autouse=True)
def _fresh():
    torch._dynamo.reset()
    counters.clear()
    yield
    torch._dynamo.reset()


@pytest.mark.parametrize("kind", ["flux", "sd1x", "sd3"])
@pytest.mark.parametrize("quant", [None, "nf4-bnb"])
def test_gradients_are_the_same(quant, kind, tiny_model):
    """From the configuration; at least one graph was made and called."""
    compute = {"quant": {"base": quant}} if quant else {}
    plain = trained(kind, tiny_model(kind), **compute)
    made = trained(kind, tiny_model(kind), compile={"backend": "aot_eager"}, **compute)
    made.family.ready_denoiser()
    for _ in range(2):
        found, expected = made.gradients(), plain.gradients()
        for name, gradient in expected.items():
            torch.testing.assert_close(found[name], gradient, atol=1e-4, rtol=1e-3)
    assert counters["stats"]["unique_graphs"] > 0


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in WITHOUT_BLOCKS])
def test_all_blocks_and_nothing_else(kind, tiny_model):
    """Such families have blocks to compile; the network around them stays plain."""
    denoiser = trained(kind, tiny_model(kind)).family.denoiser
    count = compile_blocks(denoiser, CompileConfig(backend="eager"))
    blocks = {block for _, block in repeated_blocks(denoiser)}
    compiled = {m for m in denoiser.modules() if m._compiled_call_impl is not None}
    assert compiled == blocks
    assert count == len(blocks) > 0


@pytest.mark.parametrize("kind", WITHOUT_BLOCKS)
def test_a_family_without_blocks_is_told(kind, tiny_model):
    """Rather than that nothing of it is compiled."""
    with pytest.raises(ConfigError) as caught:
        compile_blocks(trained(kind, tiny_model(kind)).family.denoiser, CompileConfig())
    assert caught.value.finding.code == "CFG294"


def test_settings_reach_the_compiler(monkeypatch):
    """Those that are set, and no others."""
    seen = []

    class SomeBlock(torch.nn.Module):
        def compile(self, *args, **kwargs):
            seen.append(kwargs)

    network = torch.nn.Module()
    network.blocks = torch.nn.ModuleList([SomeBlock()])
    compile_blocks(network, CompileConfig(backend="inductor"))
    compile_blocks(
        network,
        CompileConfig(backend="inductor", mode="max-autotune", dynamic=False, fullgraph=True),
    )
    assert seen == [
        {"backend": "inductor", "fullgraph": False},
        {"backend": "inductor", "fullgraph": True, "mode": "max-autotune", "dynamic": False},
    ]


def test_a_network_without_blocks_is_told():
    """Otherwise nothing would be compiled, in silence."""
    with pytest.raises(ConfigError) as caught:
        compile_blocks(torch.nn.Linear(1, 1), CompileConfig(backend="eager"))
    assert caught.value.finding.code == "CFG294"
