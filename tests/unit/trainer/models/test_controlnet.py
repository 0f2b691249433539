"""Control nets: built, called, trained and drawn with as diffusers does all of it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import diffusers
import numpy as np
import pytest
import torch
from PIL import Image

from tests.support.controlled import (
    CONTROLLED,
    by_hand,
    condition,
    controlled,
    net_of,
    picture,
    wake,
)
from tests.support.families import (
    diffusers_pipeline,
    edge,
    random_latents,
    some_sizes,
    some_times,
    tiny_config,
    tiny_family,
)
from tests.support.sampling import request
from tests.unit.trainer.models.test_forward import Reads
from trainer.errors import ConfigError
from trainer.models.base import Family
from trainer.models.condition import Condition
from trainer.objective.compose import build_objective


@pytest.mark.conformance("controlnet")
@pytest.mark.parametrize("kind", CONTROLLED)
def test_a_new_net_changes_nothing(kind, tiny_model):
    """Bit-equal to the base: one layer that is not zero at the start would show."""
    family, _ = controlled(kind, tiny_model(kind))
    noisy, time = random_latents(family), some_times(family)
    told = condition(family, picture(family))
    with torch.no_grad():
        ours = family.forward(noisy, time, told)
        with net_of(family).off():
            base = family.forward(noisy, time, told)
    assert torch.equal(ours, base)


@pytest.mark.conformance("controlnet")
@pytest.mark.parametrize("kind", CONTROLLED)
def test_building_a_net_leaves_the_base_as_it_was(kind, tiny_model):
    """diffusers writes the net's settings into SD3's configuration; the base must keep its own."""
    before = dict(tiny_family(kind, tiny_model(kind), "denoiser").denoiser.config)
    family, _ = controlled(kind, tiny_model(kind))
    assert dict(family.denoiser.config) == before


@pytest.mark.conformance("controlnet")
@pytest.mark.parametrize("kind", CONTROLLED)
def test_the_call_is_the_pipelines(kind, tiny_model):
    """Picture, text, times and residuals as in the loop of diffusers' control pipeline."""
    family, _ = controlled(kind, tiny_model(kind))
    wake(family)
    noisy, time = random_latents(family), some_times(family)
    told, other = (condition(family, picture(family, seed)) for seed in (1, 2))
    with torch.no_grad():
        ours = family.forward(noisy, time, told)
        torch.testing.assert_close(ours, by_hand(family, noisy, time, told), atol=1e-6, rtol=1e-5)
        assert (ours - family.forward(noisy, time, other)).abs().max() > 1e-5
        with net_of(family).off():
            assert (ours - family.forward(noisy, time, told)).abs().max() > 1e-3


@pytest.mark.conformance("controlnet")
@pytest.mark.parametrize("kind", CONTROLLED)
def test_gradients_are_the_nets_alone_and_nothing_is_read(kind, tiny_model):
    """The base stays frozen, all of the net can learn, and the device is never waited for."""
    family, trainable = controlled(kind, tiny_model(kind))
    wake(family)
    noisy, time = random_latents(family), some_times(family)
    told = condition(family, picture(family))
    family.forward(noisy, time, told)  # position ids are made at the first call of a shape
    with Reads() as reads:
        family.forward(noisy, time, told).square().mean().backward()
    assert reads.count == 0
    assert all(p.grad is None for p in family.denoiser.parameters())
    learned = [n for n, p in trainable.parameters().items() if p.grad is not None and p.grad.any()]
    assert len(learned) > 0.8 * len(trainable.parameters())


class Pair:
    """Two samples that only their pictures tell apart: same text, same noise at each step."""

    def __init__(self, family: Family, path: Any) -> None:
        config = tiny_config(family.facts.key, path)
        self.family, self.objective = family, build_objective(config.noise, config.loss, family)
        shown = picture(family)
        dark, bright = (0, 255) if shown.dtype == torch.uint8 else (-1, 1)
        shown[0], shown[1] = dark, bright
        text = family.collate_text(family.encode_text(["a red apple"] * 2))
        self.told = Condition(text, some_sizes(), (shown,))
        self.swapped = Condition(text, some_sizes(), (shown.flip(0),))
        self.clean = torch.stack([-torch.ones_like(x) for x in random_latents(family)])
        self.clean[1] = 1.0

    def loss(self, told: Condition, step: int, seed: int = 1) -> torch.Tensor:
        draw = self.objective.draw(self.clean, seed, [7, 7], [step, step])
        corrupted = self.objective.corrupt(self.clean, draw.noise, draw.time)
        prediction = self.family.forward(corrupted.noisy, corrupted.time, told)
        return self.objective.loss(prediction, corrupted)

    @torch.no_grad()
    def error(self, told: Condition) -> float:
        return sum(self.loss(told, step, seed=2).item() for step in range(8)) / 8


@pytest.mark.conformance("controlnet")
@pytest.mark.parametrize("kind", CONTROLLED)
def test_it_learns_to_look(kind, tiny_model):
    """The loss falls, and with the two pictures exchanged it is higher: the net looks at them."""
    family, trainable = controlled(kind, tiny_model(kind))
    pair = Pair(family, tiny_model(kind))
    before = pair.error(pair.told)
    optimizer = torch.optim.Adam(trainable.parameters().values(), lr=3e-3)
    for step in range(150):
        pair.loss(pair.told, step).backward()
        optimizer.step()
        optimizer.zero_grad()
    after, swapped = pair.error(pair.told), pair.error(pair.swapped)
    assert after < 0.97 * before
    assert after < 0.999 * swapped  # equal to the last bit where the net looks at nothing


def drawn(width: int, height: int) -> Image.Image:
    values = np.random.default_rng(3).integers(0, 255, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(values)


@pytest.mark.conformance("controlnet")
@pytest.mark.parametrize("kind", CONTROLLED)
def test_validation_draws_as_the_whole_pipeline(kind, tiny_model, tmp_path):
    """From cached text and the saved folder: the picture that a user's pipeline draws."""
    family, trainable = controlled(kind, tiny_model(kind))
    wake(family)
    (saved,) = trainable.save(tmp_path, step=1)
    assert saved.verified
    text, negative = family.encode_text(["a red apple", ""])
    family.unload("text")
    size = edge(kind)
    asked = request(size, 3.0)
    asked = replace(asked, pictures=(drawn(size, size),), control_scale=0.7)

    def quiet(pipe: Any) -> Any:
        pipe.set_progress_bar_config(disable=True)
        return pipe

    with torch.no_grad():
        torch.manual_seed(0)
        ours = quiet(net_of(family).edit_pipeline())(
            **net_of(family).pipeline_kwargs(text, negative, asked)
        ).images
    cls = getattr(diffusers, net_of(family).pipeline_class)
    net = getattr(diffusers, net_of(family).net_class).from_pretrained(saved.path)
    plain = diffusers_pipeline(kind, tiny_model(kind))
    whole = quiet(cls.from_pipe(plain, controlnet=net))
    whole.scheduler = family.pipeline().scheduler  # checkpoints of UNets hold that of training
    with torch.no_grad():
        torch.manual_seed(0)
        expected = whole(
            "a red apple",
            **{net_of(family).picture_argument: drawn(size, size)},
            width=size,
            height=size,
            num_inference_steps=3,
            guidance_scale=3.0,
            generator=torch.Generator().manual_seed(4),
            controlnet_conditioning_scale=0.7,
            output_type="latent",
            **({"max_sequence_length": 32} if kind in ("flux", "sd3") else {}),
        ).images
    assert (ours - expected).abs().max() < 1e-4


def attach(kind: str, base: Any, **net: Any) -> Family:
    model = {"mode": "controlnet", "controlnet": net}
    family = tiny_family(kind, base, "denoiser", model=model)
    family.attach_control(torch.float32)
    return family


def code_of(action: Any) -> tuple[str, str]:
    with pytest.raises(ConfigError) as caught:
        action()
    (found,) = caught.value.findings
    return found.code, found.message


def test_nets_of_other_models_are_refused(tiny_model, tmp_path):
    """By name of what differs, before a step fails on shapes: family, text width, VAE, union."""
    from diffusers import ControlNetModel, FluxControlNetModel

    family = attach("sd1x", tiny_model("sd1x"))
    net_of(family).net.save_pretrained(tmp_path / "own")
    attach("sd1x", tiny_model("sd1x"), path=str(tmp_path / "own"))
    for kind in ("flux", "sdxl"):
        code, message = code_of(
            lambda kind=kind: attach(kind, tiny_model(kind), path=str(tmp_path / "own"))
        )
        assert code == ("ENV002" if kind == "flux" else "CFG305")
    assert "cross_attention_dim" in message
    ControlNetModel.from_unet(family.denoiser).save_pretrained(tmp_path / "deep")
    code, message = code_of(lambda: attach("sd1x", tiny_model("sd1x"), path=str(tmp_path / "deep")))
    assert (code, "8 times smaller" in message) == ("CFG305", True)
    config = dict(net_of(attach("flux", tiny_model("flux"))).net.config) | {"num_mode": 3}
    del config["_use_default_values"]  # else the number is taken for a default, and left out
    union: Any = FluxControlNetModel.from_config(config)
    union.save_pretrained(tmp_path / "union")
    code, message = code_of(
        lambda: attach("flux", tiny_model("flux"), path=str(tmp_path / "union"))
    )
    assert (code, "union" in message) == ("CFG305", True)


def test_published_sd3_nets_see_what_they_were_made_for(tiny_model, tmp_path):
    """Zeros in place of the pooled text and latents without the shift, as their pipeline does."""
    from diffusers import SD3ControlNetModel

    fresh, _ = controlled("sd3", tiny_model("sd3"))
    wake(fresh)
    config = dict(net_of(fresh).net.config) | {"force_zeros_for_pooled_projection": True}
    published: Any = SD3ControlNetModel.from_config(config)
    published.load_state_dict(net_of(fresh).net.state_dict())
    published.save_pretrained(tmp_path / "net")
    family, _ = controlled("sd3", tiny_model("sd3"), controlnet={"path": str(tmp_path / "net")})
    noisy, time = random_latents(family), some_times(family)
    told = condition(family, picture(family))
    with torch.no_grad():
        ours = family.forward(noisy, time, told)
        torch.testing.assert_close(ours, by_hand(family, noisy, time, told), atol=1e-6, rtol=1e-5)
        assert (ours - fresh.forward(noisy, time, told)).abs().max() > 1e-4


def test_blocks_are_copied_as_asked(tiny_model):
    """Single blocks can be left out; more than there are, or SD3's last one, are refused."""
    sizes = {"layers": 1, "single_layers": 0}
    net = net_of(attach("flux", tiny_model("flux"), **sizes)).net
    assert (len(net.transformer_blocks), len(net.single_transformer_blocks)) == (1, 0)
    for kind in ("flux", "sd3"):
        code, message = code_of(lambda kind=kind: attach(kind, tiny_model(kind), layers=2))
        assert (code, "the model has 1 to copy" in message) == ("CFG306", True)


@pytest.mark.parametrize("kind", ["sdxl", "sd3", "flux"])
def test_memory_levers_change_no_gradient(kind, tiny_model):
    """Recomputed blocks of model and net, and swapped blocks of the frozen model."""

    def gradients(**compute: Any) -> dict[str, torch.Tensor]:
        family, trainable = controlled(kind, tiny_model(kind), compute=compute)
        wake(family)
        family.ready_denoiser()
        noisy, time = random_latents(family), some_times(family)
        told = condition(family, picture(family))
        family.forward(noisy, time, told).square().mean().backward()
        named = trainable.parameters().items()
        return {name: p.grad for name, p in named if p.grad is not None}

    plain = gradients(checkpointing={"enabled": False})
    for compute in ({"checkpointing": {"enabled": True}}, {"offload": {"blocks": 1}}):
        other = gradients(**compute)
        assert plain.keys() == other.keys()
        assert all(torch.equal(other[name], value) for name, value in plain.items())


@pytest.mark.parametrize("kind", ["sd1x", "flux"])
def test_a_net_is_copied_from_a_quantised_model(kind, tiny_model):
    """The weights are read again, so they are the files' and not what quantising left of them."""
    exact, _ = controlled(kind, tiny_model(kind))
    quant = {"base": "int8-quanto"}
    rounded, trainable = controlled(kind, tiny_model(kind), compute={"quant": quant})
    expected = dict(net_of(exact).net.named_parameters())
    assert all(torch.equal(expected[n], p) for n, p in trainable.parameters().items())
    told = condition(rounded, picture(rounded))
    noisy, time = random_latents(rounded), some_times(rounded)
    rounded.forward(noisy, time, told).square().mean().backward()
    assert any(p.grad is not None and p.grad.any() for p in trainable.parameters().values())
