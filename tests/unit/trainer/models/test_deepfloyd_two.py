"""Stage II of DeepFloyd IF: it enlarges a small picture, which is noised to a level it is told."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import DDPMScheduler, IFSuperResolutionPipeline
from torch.nn.functional import interpolate
from torch.utils._python_dispatch import TorchDispatchMode

from tests.support.families import random_latents, some_sizes, some_times, tiny_config, tiny_family
from tests.support.kinds.deepfloyd import OUT
from tests.support.kinds.deepfloyd import build as tiny_if
from tests.support.tiny import save
from trainer.adapters.build import build_trainable
from trainer.errors import ConfigError
from trainer.models.base import Family
from trainer.models.condition import Condition
from trainer.models.request import ImageRequest
from trainer.objective.compose import build_objective

CAPTIONS = ["a red apple", "a blue car in the rain"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(lambda: tiny_if(stage=2), tmp_path_factory.mktemp("if") / "two")


def family_of(folder: Path, *which: str, **augment: int) -> Family:
    options = {"options": {"deepfloyd": {"augment": augment}}}
    return tiny_family("deepfloyd", folder, *which, model=options)


def small_picture(count: int = 2, size: int = 16, seed: int = 4) -> torch.Tensor:
    """A picture as one of a quarter of its size shows it."""
    generator = torch.Generator().manual_seed(seed)
    tiny = torch.rand(count, 3, size // 4, size // 4, generator=generator) * 2 - 1
    return interpolate(tiny, (size, size), mode="bilinear", align_corners=True)


def text_of(family: Family) -> dict[str, torch.Tensor]:
    return family.collate_text(family.encode_text(CAPTIONS))


def test_the_unet_sees_the_small_picture_and_its_level(folder):
    """Six channels, noisy first, then the small picture, not the noisy one twice; and a level that
    is the small picture's noise, not the time."""
    family = family_of(folder, "text", "denoiser")
    text, noisy, time = text_of(family), random_latents(family), some_times(family)
    small, levels = small_picture(), torch.tensor([100, 700])
    with torch.no_grad():
        ours = family.forward(
            noisy, time, Condition(text, some_sizes(), (small,), reference_levels=levels)
        )
        wanted = family.denoiser(
            torch.cat([noisy, small], 1), time, text["prompt_embeds"], class_labels=levels
        ).sample[:, :3]
        twice = family.denoiser(
            torch.cat([noisy, noisy], 1), time, text["prompt_embeds"], class_labels=time
        ).sample[:, :3]
        clean = family.forward(noisy, time, Condition(text, some_sizes(), (small,)))
    torch.testing.assert_close(ours, wanted, atol=1e-6, rtol=1e-5)
    assert (ours - twice).abs().max() > 1e-3
    assert (ours - clean).abs().max() > 1e-5


def test_a_small_picture_of_its_own_size_is_enlarged_as_the_pipeline_does(folder):
    """Partners of a dataset of small files need not be enlarged beforehand."""
    family = family_of(folder, "text", "denoiser")
    text, noisy, time = text_of(family), random_latents(family), some_times(family)
    tiny = torch.rand(2, 3, 4, 4) * 2 - 1
    large = interpolate(tiny, (16, 16), mode="bilinear", align_corners=True)
    with torch.no_grad():
        of_tiny = family.forward(noisy, time, Condition(text, some_sizes(), (tiny,)))
        of_large = family.forward(noisy, time, Condition(text, some_sizes(), (large,)))
    torch.testing.assert_close(of_tiny, of_large)


def test_without_a_picture_to_enlarge_it_says_what_is_missing(folder):
    """A finding with the remedy, not a shape error deep inside the UNet."""
    family = family_of(folder, "text", "denoiser")
    condition = Condition(text_of(family), some_sizes())
    with pytest.raises(ConfigError, match="CFG223"):
        family.forward(random_latents(family), some_times(family), condition)


def drawn(family: Family, small: torch.Tensor, seeds: list[int]) -> Condition:
    return family.drawn_condition(Condition({}, some_sizes(len(seeds)), (small,)), seeds)


def test_the_small_picture_is_noised_by_its_own_schedule(folder):
    """To the level that is told: what diffusers adds at that time, of the sample's own noise."""
    family = family_of(folder, "denoiser")
    small = small_picture(400, 4)
    found = drawn(family, small, list(range(400)))
    levels, noised = found.reference_levels, found.references[0]
    assert levels is not None
    assert levels.min() < 20
    assert levels.max() > 980
    schedule = DDPMScheduler.from_pretrained(folder, subfolder="image_noising_scheduler")
    abar = schedule.alphas_cumprod[levels].view(-1, 1, 1, 1)  # type: ignore[union-attr]
    noise = (noised - abar.sqrt() * small) / (1 - abar).sqrt()
    again = schedule.add_noise(small, noise, levels)  # type: ignore[union-attr]
    torch.testing.assert_close(again, noised)
    inside = noise[levels > 100]  # of less the rounding is magnified
    assert inside.mean().abs() < 0.05
    assert inside.std().item() == pytest.approx(1.0, abs=0.03)


def test_levels_are_keyed_by_sample_and_bounded(folder):
    """The same in any company, other ones at another visit, none outside of the option."""
    family = family_of(folder, "denoiser", low=200, high=260)
    small = small_picture(300, 4)
    together, alone = drawn(family, small, list(range(300))), drawn(family, small[7:8], [7])
    assert together.reference_levels is not None
    assert alone.reference_levels is not None
    assert together.reference_levels[7] == alone.reference_levels[0]
    assert torch.equal(together.references[0][7], alone.references[0][0])
    assert set(together.reference_levels.tolist()) == set(range(200, 261))
    assert not torch.equal(drawn(family, small[7:8], [8]).references[0], alone.references[0])


def test_stage_one_draws_nothing(tiny_model):
    """Its condition passes through untouched."""
    family = tiny_family("deepfloyd", tiny_model("deepfloyd"), "denoiser")
    condition = Condition({}, some_sizes())
    assert family.drawn_condition(condition, [1, 2]) is condition


class Reads(TorchDispatchMode):
    """Counts operations that hand a tensor's value to Python."""

    count = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.count += func is torch.ops.aten._local_scalar_dense.default
        return func(*args, **(kwargs or {}))


def test_no_value_is_read_from_the_device(folder):
    """From the drawn level to the gradients: the device is never waited for."""
    family = family_of(folder, "text", "denoiser")
    build_trainable(tiny_config("deepfloyd", folder), family, torch.float32)
    noisy, time = random_latents(family), some_times(family)
    condition = Condition(text_of(family), some_sizes(), (small_picture(),))
    family.forward(noisy, time, family.drawn_condition(condition, [1, 2]))
    with Reads() as reads:
        seen = family.drawn_condition(condition, [1, 2])
        family.forward(noisy, time, seen).square().mean().backward()
    assert reads.count == 0


def test_checkpointing_gives_equal_gradients(folder):
    """Recomputing activations changes no bit, with the class embedding too."""

    def gradients(checkpointing: bool) -> list[torch.Tensor]:
        family = family_of(folder, "text", "denoiser")
        family.denoiser.requires_grad_(True).train()
        if checkpointing:
            family.enable_checkpointing()
        condition = Condition(text_of(family), some_sizes(), (small_picture(),))
        seen = family.drawn_condition(condition, [1, 2])
        out = family.forward(random_latents(family), some_times(family), seen)
        out.square().mean().backward()
        return [p.grad for p in family.denoiser.parameters() if p.grad is not None]

    pairs = zip(gradients(False), gradients(True), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)


def request(small: torch.Tensor, guidance: float, output_type: str = "latent") -> ImageRequest:
    return ImageRequest(
        width=16,
        height=16,
        steps=12,
        guidance=guidance,
        generator=torch.Generator().manual_seed(5),
        output_type=output_type,
        references=(small,),
    )


def quiet(pipe: Any) -> Any:
    pipe.set_progress_bar_config(disable=True)
    return pipe


@pytest.mark.parametrize("guidance", [1.0, 4.0])
def test_sampling_equals_the_pipeline_with_words(guidance, folder):
    """Cached text and a small picture draw what the whole pipeline draws, at the asked noise."""
    family = family_of(folder, "text", "denoiser", validation=120)
    text, negative = family.encode_text(CAPTIONS)
    small = small_picture(1)
    ours = quiet(family.pipeline())
    theirs = quiet(IFSuperResolutionPipeline.from_pretrained(folder, **OUT))
    theirs.scheduler = ours.scheduler
    found = ours(**family.pipeline_kwargs(text, negative, request(small, guidance))).images

    def draw(level: int) -> torch.Tensor:
        kwargs = family.request_kwargs(request(small, guidance, "pt"))
        return theirs(
            CAPTIONS[0],
            image=small,
            noise_level=level,
            negative_prompt=CAPTIONS[1],
            guidance_scale=guidance,
            clean_caption=False,
            **kwargs,
        ).images

    torch.testing.assert_close(found, draw(120), atol=1e-5, rtol=1e-4)
    assert (found - draw(250)).abs().max() > 1e-4


def overfit(folder: Path, steps: int, watch: Callable[[float], None]) -> None:
    """Errors to one picture of what the real pipeline makes of its small copy."""
    family = family_of(folder, "text", "denoiser")
    entry = family.encode_text(CAPTIONS[:1])[0]
    text = family.collate_text([entry])
    small = small_picture(1)
    target = (small + 0.3 * random_latents(family, 1, seed=9)).clamp(-1, 1)
    config = tiny_config("deepfloyd", folder)
    objective = build_objective(config.noise, config.loss, family)

    def error() -> None:
        family.denoiser.eval()
        kwargs = family.pipeline_kwargs(entry, None, request(small, 1.0))
        with torch.no_grad():
            drawn = quiet(family.pipeline())(**kwargs).images
        family.denoiser.train()
        watch((drawn - target).abs().mean().item())

    error()
    family.denoiser.requires_grad_(True).train()
    optimizer = torch.optim.Adam(family.denoiser.parameters(), lr=2e-3)
    for step in range(steps):
        draw = objective.draw(target, 1, [7], [step])
        corrupted = objective.corrupt(target, draw.noise, draw.time)
        seen = family.drawn_condition(Condition(text, some_sizes(1), (small,)), [step])
        objective.loss(family.forward(corrupted.noisy, corrupted.time, seen), corrupted).backward()
        optimizer.step()
        optimizer.zero_grad()
    error()


def test_training_brings_the_real_pipeline_nearer(folder):
    """One picture overfitted: IFSuperResolutionPipeline makes it of its small copy."""
    errors: list[float] = []
    overfit(folder, 200, errors.append)
    assert errors[1] < 0.7 * errors[0], errors


def test_adapter_files_load_in_the_pipeline_that_enlarges(folder, tmp_path):
    """Written, read back by the pipeline class, and compared by a probe with a small picture."""
    family = family_of(folder, "denoiser")
    lora = build_trainable(tiny_config("deepfloyd", folder), family, torch.float32)
    for parameter in lora.parameters().values():
        parameter.data.normal_(0.0, 0.2, generator=torch.Generator().manual_seed(1))
    (file,) = lora.save(tmp_path, step=3)
    assert file.verified
    assert not file.findings
    pipe = IFSuperResolutionPipeline.from_pretrained(folder, **OUT)
    expected = family.probe()
    pipe.load_lora_weights(tmp_path, weight_name=file.path.name)
    family.modules["denoiser"] = pipe.unet
    torch.testing.assert_close(family.probe(), expected, atol=1e-5, rtol=1e-4)
