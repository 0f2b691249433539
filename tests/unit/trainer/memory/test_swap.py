"""Swapped blocks: the same numbers, and never more weights on the device than the ring holds."""

from __future__ import annotations

import pytest
import torch

from tests.support.families import KINDS, WITHOUT_BLOCKS, diffusers_pipeline, tiny_family
from tests.support.kinds.flux import build
from tests.support.tiny import save
from tests.support.trained import Trained, trained
from trainer.errors import ConfigError
from trainer.memory.blocks import repeated_blocks
from trainer.memory.checkpointing import Checkpointing
from trainer.memory.resident import weight_bytes
from trainer.memory.swap import BlockSwap

KEPT = {"lumina2": 2}  # those to the last that the model class does not checkpoint, a refiner


class LateCopies:
    """A stream that copies as late as it may: until it is awaited the buffer holds garbage."""

    def __init__(self) -> None:
        self.begun = 0
        self.under_way = 0
        self.most = 0

    def begin(self, buffer, host):
        buffer.fill_(255)
        self.begun += 1
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        return (buffer, host)

    def finish(self, copy) -> None:
        buffer, host = copy
        buffer.copy_(host)
        self.under_way -= 1


@pytest.fixture(scope="module")
def deep_flux(tmp_path_factory):
    """Three blocks of each kind, so that a ring of two is too small for all."""
    from diffusers import FluxTransformer2DModel

    def made():
        torch.manual_seed(0)
        pipeline = build()
        config = dict(pipeline.transformer.config) | {"num_layers": 3, "num_single_layers": 3}
        pipeline.transformer = FluxTransformer2DModel.from_config(config)
        return pipeline

    return save(made, tmp_path_factory.mktemp("deep") / "flux")


def swapped(kind: str, path, count: int, *, ring: int = 2, **compute) -> tuple[Trained, BlockSwap]:
    """An adapter on a model with swapped blocks, and copies that come late."""
    made = trained(kind, path, **compute)
    function = Checkpointing(made.family.compute.checkpointing, made.family.device)
    made.family.enable_checkpointing(function)
    swap = BlockSwap(
        made.family.denoiser,
        count,
        ring=ring,
        device=made.family.device,
        checkpointed=function.covers,
        copies=LateCopies(),
    )
    return made, swap


def same(found, expected) -> bool:
    return found.keys() == expected.keys() and all(
        torch.equal(found[name], expected[name]) for name in expected
    )


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in WITHOUT_BLOCKS])
def test_output_and_gradients_are_the_same(kind, tiny_model):
    """Two steps and a look without gradients between them, all blocks swapped that can be."""
    plain = trained(kind, tiny_model(kind))
    count = len(repeated_blocks(plain.family.denoiser)) - KEPT.get(kind, 0)
    made, swap = swapped(kind, tiny_model(kind), count)
    for _ in range(2):
        assert same(made.gradients(), plain.gradients())
        with torch.no_grad():
            assert torch.equal(made.forward(), plain.forward())
        assert torch.equal(made.base(), plain.base())
    assert len(swap.slots) == min(2, count)


@pytest.mark.parametrize("kind", KEPT)
def test_one_more_is_refused(kind, tiny_model):
    """The block that is not checkpointed would meet the weights of another in its backward."""
    blocks = len(repeated_blocks(trained(kind, tiny_model(kind)).family.denoiser))
    made, _ = swapped(kind, tiny_model(kind), blocks - KEPT[kind] + 1)
    with pytest.raises(ConfigError) as caught:
        made.forward()
    assert caught.value.finding.code == "CFG289"


@pytest.mark.parametrize("kind", WITHOUT_BLOCKS)
def test_a_family_without_blocks_is_told(kind, tiny_model):
    """Whatever number was asked for."""
    with pytest.raises(ConfigError) as caught:
        tiny_family(kind, tiny_model(kind), "denoiser", compute={"offload": {"blocks": 1}})
    assert caught.value.finding.code == "CFG290"


@pytest.mark.parametrize("quant", [None, "int8-torchao", "int4-quanto", "nf4-bnb"])
@pytest.mark.parametrize("ring", [2, 3])
def test_bookkeeping_of_a_step(ring, quant, deep_flux):
    """At most `ring` blocks have weights; each is fetched twice, but for those that are there at
    the turn of a pass; the next block is on its way while one computes. Also for quantised ones."""
    compute = {"quant": {"base": quant}} if quant else {}
    plain = trained("flux", deep_flux, **compute)
    made, swap = swapped("flux", deep_flux, 5, ring=ring, **compute)
    resident = []
    for block in swap.blocks:
        block.block.register_forward_hook(lambda *_: resident.append(len(swap.resident())))
    expected = plain.gradients()
    assert same(made.gradients(), expected)
    swap.fetched = [0] * 5
    assert same(made.gradients(), expected)
    assert max(resident) <= ring
    assert sum(swap.fetched) == 2 * (5 - ring)
    assert max(swap.fetched) <= 2
    assert swap._copies.most == ring - 1  # those to come, while the one that computes is there


def test_weights_are_away(deep_flux):
    """What remains on the device: everything else, and the ring."""
    plain = trained("flux", deep_flux)
    before = weight_bytes(plain.family.denoiser)
    made, swap = swapped("flux", deep_flux, 6)
    whole = sum(cell.num_bytes for block in swap.blocks for cell in block.cells)
    ring = sum(slot.buffer.numel() for slot in swap.slots)
    assert whole > 0.6 * before
    for _ in range(2):
        after = weight_bytes(made.family.denoiser)
        assert after < before - whole + ring + 4096
        made.gradients()


def test_the_adapter_stays(tiny_model):
    """Trained weights are not swapped: a buffer would be overwritten."""
    made, swap = swapped("flux", tiny_model("flux"), 2)
    before = {n: p.data_ptr() for n, p in made.lora.parameters().items()}
    made.gradients()
    assert before == {n: p.data_ptr() for n, p in made.lora.parameters().items()}
    assert swap.resident()


def test_an_adapter_is_saved_and_verified(deep_flux, tmp_path):
    """The second adapter of the check is put beside weights that are away."""
    made, _ = swapped("flux", deep_flux, 6)
    assert all(file.verified for file in made.lora.save(tmp_path, step=1))
    pipe = diffusers_pipeline("flux", deep_flux)
    pipe.load_lora_weights(str(tmp_path), weight_name="pytorch_lora_weights.safetensors")
    plain = trained("flux", deep_flux)
    expected = plain.forward()
    plain.family.modules["denoiser"] = pipe.transformer
    torch.testing.assert_close(plain.forward(), expected)


def test_blocks_that_are_not_computed_again_are_refused(tiny_model):
    """Their backward would meet the weights of another block."""
    made = trained("flux", tiny_model("flux"))
    BlockSwap(
        made.family.denoiser,
        2,
        ring=2,
        device=made.family.device,
        checkpointed=Checkpointing(made.family.compute.checkpointing, made.family.device).covers,
    )
    with pytest.raises(ConfigError) as caught:
        made.forward()
    assert caught.value.finding.code == "CFG289"
    with torch.no_grad():
        made.forward()  # without a backward there is nothing to meet


def test_more_blocks_than_there_are(tiny_model):
    """Told with the number there is."""
    with pytest.raises(ConfigError) as caught:
        tiny_family("flux", tiny_model("flux"), "denoiser", compute={"offload": {"blocks": 3}})
    assert caught.value.finding.code == "CFG290"
    assert caught.value.finding.patch == {"compute.offload.blocks": 2}


def test_from_the_configuration(tiny_model):
    """`compute.offload` reaches the model."""
    made = trained("sdxl", tiny_model("sdxl"), offload={"blocks": 2, "ring": 3})
    made.family.ready_denoiser()
    assert made.family.swap is not None
    assert len(made.family.swap.blocks) == 2
    plain = trained("sdxl", tiny_model("sdxl"))
    assert same(made.gradients(), plain.gradients())
