"""Every mode of gradient checkpointing gives the same gradients and keeps less than without."""

from __future__ import annotations

import pytest
import torch

from tests.support.families import KINDS
from tests.support.saved import OpCounter
from tests.support.trained import Trained, trained
from trainer.memory import checkpointing
from trainer.memory.saved import saved_bytes

MODES = [
    {"mode": "layer"},
    {"mode": "offload"},
    {"mode": "selective"},
    {"mode": "layer", "interval": 2},
    {"mode": "selective", "interval": 3},
]


def setting(kind: str, path, **config) -> Trained:
    """Without a configuration: all activations are kept."""
    made = trained(kind, path, checkpointing=config or {"enabled": False})
    made.family.ready_denoiser()
    return made


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("config", MODES, ids=lambda c: "-".join(map(str, c.values())))
def test_gradients_are_equal_to_the_last_bit(config, kind, tiny_model):
    """In fp32 and under autocast, twice over (blocks are known by then)."""
    plain, made = setting(kind, tiny_model(kind)), setting(kind, tiny_model(kind), **config)
    for bf16 in (False, True, False):
        expected, found = plain.gradients(bf16=bf16), made.gradients(bf16=bf16)
        assert found.keys() == expected.keys()
        assert all(torch.equal(found[name], expected[name]) for name in expected)


MOST_KEPT = {"deepfloyd": 0.75}  # its blocks are single layers of an U-net: inputs weigh more


@pytest.mark.parametrize("kind", KINDS)
def test_less_is_kept_the_more_is_computed_again(kind, tiny_model):
    """Activations in place: all > every second block > with attention > inputs > none of them."""

    def kept(**config) -> int:
        made = setting(kind, tiny_model(kind), **config)
        return saved_bytes(made.forward, made.family.denoiser.parameters())

    everything, layer = kept(), kept(mode="layer")
    assert layer < MOST_KEPT.get(kind, 0.6) * everything
    assert layer < kept(mode="layer", interval=2) < everything
    assert kept(mode="offload") < layer


@pytest.mark.parametrize("kind", ["flux", "sdxl"])
def test_selective_does_not_compute_attention_again(kind, tiny_model):
    """As often as without checkpointing, where `layer` does it twice."""

    def attentions(**config) -> int:
        made = setting(kind, tiny_model(kind), **config)
        with OpCounter("_scaled_dot_product") as counter:
            made.forward().float().pow(2).mean().backward()
        return counter.count

    plain = attentions()
    assert plain > 0
    assert attentions(mode="selective") == plain
    assert attentions(mode="layer") > plain


@pytest.mark.parametrize("kind", ["flux", "sd3", "sd1x"])
@pytest.mark.parametrize("interval", [1, 2, 3])
def test_one_block_of_n_is_checkpointed(interval, kind, tiny_model, monkeypatch):
    """Counted by calls, the first block among them."""
    blocks: list[object] = []

    def count(block, *args, **kwargs):
        blocks.append(block)
        return block(*args)

    monkeypatch.setattr(checkpointing, "checkpoint", count)
    made = setting(kind, tiny_model(kind), mode="layer", interval=interval)
    made.forward()
    whole = setting(kind, tiny_model(kind), mode="layer")
    with_interval = len(blocks)
    whole.forward()
    total = len(blocks) - with_interval
    assert total > 1
    assert with_interval == -(-total // interval)
