"""Another kernel of attention: near the same numbers, other operations, never none."""

from __future__ import annotations

import pytest
import torch

from tests.support.saved import OpCounter
from tests.support.trained import trained
from trainer.errors import ConfigError
from trainer.memory.attention import use_attention


@pytest.fixture(autouse=True)
def _own_backend():
    """diffusers remembers the last kernel for the whole process."""
    from diffusers.models.attention_dispatch import _AttentionBackendRegistry as Registry

    before = Registry._active_backend
    yield
    Registry.set_active_backend(before)


def test_the_kernel_changes_and_the_numbers_hardly(tiny_model):
    """From the configuration: plain products instead of the flash kernel of the CPU."""
    plain = trained("flux", tiny_model("flux"))
    made = trained("flux", tiny_model("flux"), attention={"backend": "native-math"})
    with OpCounter("scaled_dot_product_flash") as flash:
        expected = plain.gradients()
        assert flash.count > 0
        flash.count = 0
        made.family.ready_denoiser()
        found = made.gradients()
        assert flash.count == 0
    for name, gradient in expected.items():
        torch.testing.assert_close(found[name], gradient, atol=1e-5, rtol=1e-3)


@pytest.mark.parametrize("kind", ["sd1x", "sd3", "pixart"])
def test_a_model_that_takes_none_is_told(kind, tiny_model):
    """Its layers call torch themselves, so the option would do nothing."""
    made = trained(kind, tiny_model(kind), attention={"backend": "native-math"})
    with pytest.raises(ConfigError) as caught:
        made.family.ready_denoiser()
    assert caught.value.finding.code == "CFG293"


@pytest.mark.parametrize("name", ["flash-attn", "flash-attn-3", "xformers", "sageattention"])
def test_a_kernel_that_is_not_installed_is_told(name, tiny_model):
    """With the name of the package that is missing."""
    made = trained("flux", tiny_model("flux"))
    with pytest.raises(ConfigError) as caught:
        use_attention(made.family.denoiser, name)
    assert caught.value.finding.code == "ENV012"
    assert name.split("-")[0] in caught.value.finding.message.lower()
