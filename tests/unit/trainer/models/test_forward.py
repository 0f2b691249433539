"""The denoiser call: no waiting for the device, exact conditions, schedules of the checkpoint."""

from __future__ import annotations

import json
import shutil

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from tests.support.families import (
    KINDS,
    edge,
    random_latents,
    some_sizes,
    some_times,
    tiny_config,
    tiny_family,
    told,
)
from tests.support.kinds.flux import build as tiny_flux
from trainer.adapters.build import build_trainable
from trainer.catalog.facts import Prediction
from trainer.models.condition import Condition
from trainer.models.parts.packing import image_ids, pack, unpack
from trainer.models.request import ImageRequest


class Reads(TorchDispatchMode):
    """Counts operations that hand a tensor's value to Python."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.count += func is torch.ops.aten._local_scalar_dense.default
        return func(*args, **(kwargs or {}))


def text_of(family, count: int = 2) -> dict[str, torch.Tensor]:
    return family.probe_entry(lambda shape: torch.randn(count, *shape))


@pytest.mark.conformance("sync")
@pytest.mark.parametrize("kind", KINDS)
def test_forward_and_backward_read_no_value(kind, tiny_model):
    """Not one `.item()` from noised latents to gradients: the device is never waited for."""
    family = tiny_family(kind, tiny_model(kind), "denoiser")
    build_trainable(tiny_config(kind, tiny_model(kind)), family, torch.float32)
    noisy, time, condition = random_latents(family), some_times(family), told(text_of(family))
    family.forward(noisy, time, condition)  # position ids are made at the first call of a shape
    with Reads() as reads:
        family.forward(noisy, time, condition).square().mean().backward()
    assert reads.count == 0


def test_position_ids_are_made_once_per_shape():
    """The second step of a bucket uses the tensor of the first."""
    first = image_ids(8, 16, torch.device("cpu"), torch.float32)
    assert image_ids(8, 16, torch.device("cpu"), torch.float32) is first
    assert first.shape == (32, 3)


def test_packing_is_the_pipelines():
    """Same tokens in the same order as the diffusers pipeline packs them, and back."""
    from diffusers import FluxPipeline

    latents = torch.randn(2, 16, 6, 10)
    tokens = pack(latents)
    assert torch.equal(tokens, FluxPipeline._pack_latents(latents, 2, 16, 6, 10))
    assert torch.equal(unpack(tokens, 6, 10), latents)


def test_flux_without_guidance_embedding_gets_no_guidance(tmp_path):
    """Schnell-like checkpoints take none; passing one would fail inside the module."""
    pipeline = tiny_flux(guidance_embeds=False)
    pipeline.save_pretrained(tmp_path / "schnell")
    family = tiny_family("flux", tmp_path / "schnell", "vae", "denoiser")
    text = text_of(family)
    with torch.no_grad():
        out = family.forward(random_latents(family), some_times(family), told(text))
    assert out.isfinite().all()
    entry = {name: value[0] for name, value in text.items()}
    request = ImageRequest(
        width=32, height=32, steps=1, guidance=4.0, generator=torch.Generator().manual_seed(0)
    )
    assert family.pipeline_kwargs(entry, entry, request)["true_cfg_scale"] == 4.0
    assert "true_cfg_scale" not in family.pipeline_kwargs(entry, None, request)


def test_flux_guidance_is_the_configured_scalar(tiny_model):
    """model.options.flux.guidance reaches a checkpoint that takes it."""

    def output(scale: float) -> torch.Tensor:
        torch.manual_seed(0)
        model = {"options": {"flux": {"guidance": scale}}}
        family = tiny_family("flux", tiny_model("flux"), "denoiser", model=model)
        with torch.no_grad():
            condition = told(text_of(family))
            return family.forward(random_latents(family), some_times(family), condition)

    assert torch.equal(output(1.0), output(1.0))
    assert not torch.equal(output(1.0), output(3.5))


def test_sdxl_sizes_keep_their_last_bits_in_bf16(tiny_model):
    """1333 and 1334 pixels differ for the model, although bf16 cannot tell them apart."""
    model = {"components": {"denoiser": {"dtype": "bf16"}}}
    family = tiny_family("sdxl", tiny_model("sdxl"), "denoiser", model=model)
    seen: list[torch.Tensor] = []
    family.denoiser.add_time_proj.register_forward_pre_hook(lambda _, a: seen.append(a[0].clone()))
    sizes = torch.tensor([[1333, 1000, 3, 17, 1024, 1024], [1334, 1000, 3, 17, 1024, 1024]])
    with torch.no_grad():
        family.forward(
            random_latents(family), some_times(family), Condition(text_of(family), sizes)
        )
    assert torch.equal(seen[0].view(2, 6).long(), sizes)


def test_a_dropped_caption_keeps_its_sizes(tiny_model):
    """The pipeline tells both passes of guidance the same sizes, so training without a caption
    must know real sizes too, not zeros."""
    family = tiny_family("sdxl", tiny_model("sdxl"), "text", "vae", "denoiser")
    seen: list[torch.Tensor] = []
    family.denoiser.add_time_proj.register_forward_pre_hook(lambda _, a: seen.append(a[0].clone()))
    request = ImageRequest(
        width=32, height=64, steps=1, guidance=5.0, generator=torch.Generator().manual_seed(0)
    )
    text, negative = family.encode_text(["a red apple", ""])
    pipe = family.pipeline()
    pipe.set_progress_bar_config(disable=True)
    pipe(**family.pipeline_kwargs(text, negative, request))
    without, with_text = seen[0].view(2, 6)
    assert torch.equal(without, with_text)
    assert without.tolist() == [64.0, 32.0, 0.0, 0.0, 64.0, 32.0]
    seen.clear()
    with torch.no_grad():
        condition = told(family.collate_text([negative, text]))
        family.forward(random_latents(family), some_times(family), condition)
    assert torch.equal(seen[0].view(2, 6).long(), some_sizes())


@pytest.fixture
def v_model(tiny_model, tmp_path):
    """A tiny SD 1.x whose scheduler says that it predicts v."""
    folder = shutil.copytree(tiny_model("sd1x"), tmp_path / "v")
    path = folder / "scheduler" / "scheduler_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"prediction_type": "v_prediction"}))
    return folder


def test_prediction_type_is_the_checkpoints_unless_configured(v_model, tiny_model):
    """The scheduler's own word counts; the configuration can overrule it, also in sampling."""
    assert tiny_family("sd1x", tiny_model("sd1x")).prediction is Prediction.EPSILON
    family = tiny_family("sd1x", v_model, "vae", "denoiser")
    assert family.prediction is Prediction.V
    assert family.pipeline().scheduler.config.prediction_type == "v_prediction"
    forced = tiny_family("sd1x", v_model, model={"prediction_type": "epsilon"})
    assert forced.prediction is Prediction.EPSILON


def test_schedule_is_the_checkpoints_and_can_end_in_pure_noise(v_model):
    """alphas_cumprod equals diffusers'; zero-SNR equals diffusers' own rescaling."""
    from diffusers import DDPMScheduler

    plain = DDPMScheduler.from_pretrained(v_model, subfolder="scheduler")
    assert torch.equal(tiny_family("sd1x", v_model).alphas_cumprod, plain.alphas_cumprod)
    zero = DDPMScheduler.from_config(plain.config, rescale_betas_zero_snr=True)
    family = tiny_family("sd1x", v_model, "vae", "denoiser", model={"zero_terminal_snr": True})
    torch.testing.assert_close(family.alphas_cumprod, zero.alphas_cumprod, atol=1e-6, rtol=1e-5)
    assert family.alphas_cumprod[-1] == 0
    assert family.pipeline().scheduler.config.timestep_spacing == "trailing"


@pytest.mark.conformance("sample")
@pytest.mark.parametrize("kind", KINDS)
def test_the_real_pipeline_draws_pictures(kind, tiny_model):
    """pipeline() and pipeline_kwargs() give a picture, with guidance and without encoders."""
    family = tiny_family(kind, tiny_model(kind), "text", "vae", "denoiser")
    text, negative = family.encode_text(["a red apple", ""])
    family.unload("text")
    size = edge(kind)
    request = ImageRequest(
        width=size,
        height=2 * size,
        steps=2,
        guidance=3.0,
        generator=torch.Generator().manual_seed(0),
    )
    pipe = family.pipeline()
    pipe.set_progress_bar_config(disable=True)
    with torch.no_grad():
        picture = pipe(**family.pipeline_kwargs(text, negative, request)).images[0]
    assert picture.size == (size, 2 * size)


@pytest.mark.conformance("sample")
@pytest.mark.parametrize("kind", KINDS)
def test_bf16_base_trains_and_samples(kind, tiny_model):
    """A bf16 base with fp32 adapter weights: loss and picture under the loop's autocast."""
    model = {"components": {"denoiser": {"dtype": "bf16"}}}
    family = tiny_family(kind, tiny_model(kind), "text", "vae", "denoiser", model=model)
    text, negative = family.encode_text(["a red apple", ""])
    lora = build_trainable(tiny_config(kind, tiny_model(kind)), family, torch.float32)
    batch = family.collate_text([text, text])
    with torch.autocast("cpu", torch.bfloat16):
        out = family.forward(random_latents(family), some_times(family), told(batch))
    out.float().square().mean().backward()
    assert all(p.dtype is torch.float32 for p in lora.parameters().values())
    grads = [p.grad for p in lora.parameters().values() if p.grad is not None]
    assert grads
    assert all(g.dtype is torch.float32 and g.isfinite().all() for g in grads)
    size = edge(kind)
    request = ImageRequest(
        width=size,
        height=size,
        steps=2,
        guidance=3.0,
        generator=torch.Generator().manual_seed(0),
    )
    pipe = family.pipeline()
    pipe.set_progress_bar_config(disable=True)
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        picture = pipe(**family.pipeline_kwargs(text, negative, request)).images[0]
    assert picture.size == (size, size)
