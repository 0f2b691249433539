"""The short way through a LoRA layer is the long way, only shorter."""

from __future__ import annotations

import copy

import pytest
import torch

from tests.support.adapters import trained
from tests.support.families import KINDS, random_latents, some_times, told
from trainer.adapters import lean


def gradients(family, lora, *, short: bool, autocast: bool = False) -> list[torch.Tensor]:
    """Output and adapter gradients, by the short or by PEFT's own way."""
    text = family.probe_entry(lambda shape: torch.ones(2, *shape))
    kept = {}
    if not short:
        for module in family.denoiser.modules():
            if "forward" in module.__dict__:
                kept[module] = module.__dict__.pop("forward")
    with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
        out = family.forward(random_latents(family), some_times(family), told(text))
    out.float().square().mean().backward()
    for module, function in kept.items():
        module.forward = function
    found = [p.grad.clone() for p in lora.parameters().values()]
    for parameter in lora.parameters().values():
        parameter.grad = None
    return [out.detach(), *found]


@pytest.mark.parametrize("alpha", [4.0, 1.0])
@pytest.mark.parametrize("kind", KINDS)
def test_same_output_and_gradients_as_peft(kind, alpha, tiny_model):
    """Output and every gradient agree with PEFT's forward to rounding."""
    family, lora = trained(kind, tiny_model(kind), alpha=alpha)
    pairs = zip(
        gradients(family, lora, short=True), gradients(family, lora, short=False), strict=True
    )
    for ours, theirs in pairs:
        torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-4)


def test_same_under_autocast(tiny_model):
    """In bf16 the two differ by bf16 rounding and not more."""
    family, lora = trained("flux", tiny_model("flux"))
    ours = gradients(family, lora, short=True, autocast=True)[0]
    theirs = gradients(family, lora, short=False, autocast=True)[0]
    assert (ours - theirs).abs().max() < 0.03 * theirs.abs().max()


def test_without_gradients_it_is_peft_to_the_bit(tiny_model):
    """Sampling and verification see what a user's pipeline computes."""
    family, _ = trained("flux", tiny_model("flux"), alpha=1.0)
    with_short = family.probe()
    for module in family.denoiser.modules():
        module.__dict__.pop("forward", None)
    assert torch.equal(with_short, family.probe())


def test_switching_the_adapter_off_works_in_training(tiny_model):
    """base_scope gives the base model also while gradients are on."""
    family, lora = trained("flux", tiny_model("flux"))
    text = family.probe_entry(lambda shape: torch.ones(2, *shape))

    def call() -> torch.Tensor:
        return family.forward(random_latents(family), some_times(family), told(text))

    with lora.base_scope(), torch.no_grad():
        base = call()
    with lora.base_scope():
        assert torch.equal(call().detach(), base)
    assert not torch.equal(call().detach(), base)


def test_layers_with_dropout_or_convolutions_are_left_alone(tiny_model):
    """Only the plain linear case is shortened."""
    family, _ = trained("flux", tiny_model("flux"), dropout=0.1)
    assert lean.install(family.denoiser, "default") == 0
    family, lora = trained("sd1x", tiny_model("sd1x"), preset="attention+ffs+convs")
    pairs = len(lora.parameters()) // 2
    assert 0 < lean.install(family.denoiser, "default") < pairs


def test_a_copy_of_the_model_uses_its_own_weights(tiny_model):
    """deepcopy takes the short way along, bound to the copy."""
    family, lora = trained("flux", tiny_model("flux"))
    other = copy.deepcopy(family.denoiser)
    layer = next(m for m in other.modules() if "lean_adapter" in m.__dict__)
    assert layer.forward.__self__ is layer
    next(iter(lora.parameters().values())).data.zero_()
    assert all(m.lora_A["default"].weight.any() for m in other.modules() if hasattr(m, "lora_A"))
