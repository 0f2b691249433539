"""Experts of a part of the noise levels: each draws its own steps, and two draw a whole picture."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import StableDiffusionXLImg2ImgPipeline, StableDiffusionXLPipeline

from tests.support.families import random_latents, some_times, tiny_config, tiny_family
from tests.support.kinds.sdxl import build, build_refiner
from tests.support.tiny import save
from trainer.adapters.build import build_trainable
from trainer.config.resolve import resolve
from trainer.models.base import Family
from trainer.models.condition import Condition
from trainer.models.request import ImageRequest
from trainer.models.stretch import Stretch
from trainer.objective.interval import Interval

CAPTIONS = ["a red apple", "a blue car in the rain"]
STEPS = 10


@pytest.fixture(scope="module")
def refiner_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(lambda: build_refiner(build()), tmp_path_factory.mktemp("xl") / "refiner", seed=1)


def family_of(kind: str, folder: Path, stretch: Stretch, **model: Any) -> Family:
    family = tiny_family(kind, folder, "text", "vae", "denoiser", model=model)
    family.stretch = stretch
    return family


def request(guidance: float = 1.0, output_type: str = "latent", **begun: Any) -> ImageRequest:
    return ImageRequest(
        width=32,
        height=64,
        steps=STEPS,
        guidance=guidance,
        generator=torch.Generator().manual_seed(5),
        output_type=output_type,
        **begun,
    )


def quiet(pipe: Any) -> Any:
    pipe.set_progress_bar_config(disable=True)
    return pipe


def drawn(family: Family, asked: ImageRequest) -> torch.Tensor:
    text, negative = family.encode_text(CAPTIONS)
    return quiet(family.pipeline())(**family.pipeline_kwargs(text, negative, asked)).images


@contextmanager
def times_of(family: Family, position: int | str) -> Iterator[list[float]]:
    """Times at which a denoiser is called within the block."""
    seen: list[float] = []

    def look(_: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        time = kwargs[position] if isinstance(position, str) else args[position]
        seen.append(float(time.flatten()[0]))

    handle = family.denoiser.register_forward_pre_hook(look, with_kwargs=True)
    try:
        yield seen
    finally:
        handle.remove()


# --- the refiner of SDXL ---------------------------------------------------------------------


def test_the_refiner_reads_the_second_encoder_alone(refiner_folder):
    """Its text is what its own pipeline encodes; the first encoder is not even looked for."""
    assert not (refiner_folder / "text_encoder").exists()
    family = tiny_family("sdxl", refiner_folder, "text")
    assert set(family.modules) == {"text_encoder_2"}
    pipe = StableDiffusionXLImg2ImgPipeline.from_pretrained(refiner_folder)
    embeds, _, pooled, _ = pipe.encode_prompt(CAPTIONS[0], do_classifier_free_guidance=False)
    entry = family.encode_text(CAPTIONS)[0]
    torch.testing.assert_close(entry["prompt_embeds"], embeds[0])
    torch.testing.assert_close(entry["pooled_prompt_embeds"], pooled[0])
    assert family.encode_text([""])[0]["prompt_embeds"].any()


def test_the_refiner_is_told_a_score_in_place_of_the_target_size(refiner_folder):
    """Five numbers: size, crop and the configured score; the target size is not among them."""
    model = {"options": {"sdxl": {"aesthetic_score": 3.5}}}
    family = tiny_family("sdxl", refiner_folder, "text", "denoiser", model=model)
    text = family.collate_text(family.encode_text(CAPTIONS))
    noisy, time = random_latents(family), some_times(family)
    sizes = torch.tensor([[1333, 1000, 3, 17, 32, 32], [640, 480, 0, 0, 64, 32]])
    ids = torch.tensor([[1333, 1000, 3, 17, 3.5], [640, 480, 0, 0, 3.5]])
    added = {"text_embeds": text["pooled_prompt_embeds"], "time_ids": ids}
    with torch.no_grad():
        ours = family.forward(noisy, time, Condition(text, sizes))
        theirs = family.denoiser(noisy, time, text["prompt_embeds"], added_cond_kwargs=added).sample
        assert torch.equal(family.forward(noisy, time, Condition(text, sizes)), ours)
        other = tiny_family("sdxl", refiner_folder, "denoiser")
        default = other.forward(noisy, time, Condition(text, sizes))
    torch.testing.assert_close(ours, theirs)
    assert not torch.equal(ours, default)


def test_adapters_of_the_refiner_are_verified(refiner_folder, tmp_path):
    """The probe knows of five numbers, and the file loads in the refiner's pipeline."""
    family = tiny_family("sdxl", refiner_folder, "denoiser")
    lora = build_trainable(tiny_config("sdxl", refiner_folder), family, torch.float32)
    for parameter in lora.parameters().values():
        parameter.data.normal_(0.0, 0.2, generator=torch.Generator().manual_seed(1))
    files = lora.save(tmp_path, step=3)
    assert [file.layout for file in files] == ["diffusers", "comfyui"]
    assert all(file.verified and not file.findings for file in files)


@pytest.mark.parametrize("flavour", ["refiner-1.0", "refiner-0.9"])
def test_flavours_of_the_refiner_train_and_draw_the_last_fifth(flavour):
    """As it was trained itself; the base trains all."""
    config = resolve(f'[model]\nfamily = "sdxl"\nflavour = "{flavour}"\n', env={}).config
    assert config is not None
    assert (config.noise.interval.low, config.noise.interval.high) == (0.0, 0.2)
    assert config.validation.levels == "trained"
    base = resolve('[model]\nfamily = "sdxl"\n', env={}).config
    assert base is not None
    assert (base.noise.interval.high, base.validation.levels) == (1.0, "all")


@pytest.mark.parametrize("guidance", [1.0, 5.0])
def test_base_and_refiner_draw_what_diffusers_draws_with_both(guidance, refiner_folder, tiny_model):
    """`denoising_end` and `denoising_start` of the two real pipelines, from the same noise."""
    base = family_of("sdxl", tiny_model("sdxl"), Stretch(0.2, 1.0, ends=False))
    refiner = family_of("sdxl", refiner_folder, Stretch(0.0, 0.2))
    handed = drawn(base, request(guidance))
    found = drawn(refiner, request(guidance, handed=handed))
    words = {"negative_prompt": CAPTIONS[1], "guidance_scale": guidance}
    first = quiet(StableDiffusionXLPipeline.from_pretrained(tiny_model("sdxl")))
    last = quiet(StableDiffusionXLImg2ImgPipeline.from_pretrained(refiner_folder))
    kwargs = base.request_kwargs(request(guidance))
    left = first(CAPTIONS[0], denoising_end=0.8, **words, **kwargs).images
    torch.testing.assert_close(handed, left, atol=1e-4, rtol=1e-4)
    expected = last(
        CAPTIONS[0],
        image=left,
        denoising_start=0.8,
        num_inference_steps=STEPS,
        output_type="latent",
        **words,
    ).images
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)


def test_the_refiner_alone_draws_on_from_a_noised_picture(refiner_folder):
    """What diffusers makes of the same latents, noised by its own scheduler so far."""
    refiner = family_of("sdxl", refiner_folder, Stretch(0.0, 0.2))
    picture = torch.randn(1, 4, 32, 16, generator=torch.Generator().manual_seed(1))
    found = drawn(refiner, request(5.0, picture=picture))
    pipe = quiet(StableDiffusionXLImg2ImgPipeline.from_pretrained(refiner_folder))
    pipe.scheduler.set_timesteps(STEPS)
    first = pipe.scheduler.timesteps[pipe.scheduler.timesteps < 200][:1]
    noise = torch.randn(picture.shape, generator=torch.Generator().manual_seed(5))
    expected = pipe(
        CAPTIONS[0],
        image=pipe.scheduler.add_noise(picture, noise, first),
        denoising_start=0.8,
        num_inference_steps=STEPS,
        negative_prompt=CAPTIONS[1],
        guidance_scale=5.0,
        output_type="latent",
    ).images
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)
    assert found.shape == picture.shape
    other = drawn(refiner, request(5.0, picture=torch.zeros_like(picture)))
    assert (found - other).abs().max() > 0.1


def test_the_refiner_draws_from_pure_noise_when_all_levels_are_asked(refiner_folder):
    """`validation.levels = "all"`: all steps, a picture of the asked size."""
    family = tiny_family("sdxl", refiner_folder, "text", "vae", "denoiser")
    with times_of(family, 1) as seen:
        picture = drawn(family, request(2.0, "pil"))[0]
    assert picture.size == (32, 64)
    assert len(seen) == STEPS


# --- any two experts -------------------------------------------------------------------------


def test_one_model_in_two_parts_draws_what_it_draws_in_one(tiny_model):
    """Euler has no memory: cut at the boundary and taken up again, nothing changes."""
    path = tiny_model("sdxl")
    whole = drawn(tiny_family("sdxl", path, "text", "vae", "denoiser"), request(3.0))
    handed = drawn(family_of("sdxl", path, Stretch(0.35, 1.0, ends=False)), request(3.0))
    found = drawn(family_of("sdxl", path, Stretch(0.0, 0.35)), request(3.0, handed=handed))
    torch.testing.assert_close(found, whole, atol=1e-4, rtol=1e-4)
    assert (handed - whole).abs().max() > 0.1


def test_pixart_hands_over_too(tiny_model, tmp_path):
    """There is no pipeline that begins in between: latents and steps are given to the usual one.
    A solver of first order has no memory, so two parts are one."""
    folder = shutil.copytree(tiny_model("pixart"), tmp_path / "first-order")
    path = folder / "scheduler" / "scheduler_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"solver_order": 1}))
    whole = drawn(tiny_family("pixart", folder, "text", "vae", "denoiser"), request(3.0))
    handed = drawn(family_of("pixart", folder, Stretch(0.4, 1.0, ends=False)), request(3.0))
    found = drawn(family_of("pixart", folder, Stretch(0.0, 0.4)), request(3.0, handed=handed))
    torch.testing.assert_close(found, whole, atol=1e-4, rtol=1e-4)
    assert (handed - whole).abs().max() > 0.1


@pytest.mark.parametrize(("kind", "position"), [("sdxl", 1), ("pixart", "timestep")])
@pytest.mark.parametrize("boundary", [0.2, 0.4, 0.65])
def test_every_step_is_taken_by_the_expert_that_was_trained_there(
    kind, position, boundary, tiny_model
):
    """Together all steps of the whole, none twice, each within the times that its side draws."""
    path = tiny_model(kind)
    high = family_of(kind, path, Stretch(boundary, 1.0, ends=False))
    low = family_of(kind, path, Stretch(0.0, boundary))
    whole = tiny_family(kind, path, "text", "vae", "denoiser")
    with times_of(whole, position) as every:
        drawn(whole, request())
    with times_of(high, position) as early, times_of(low, position) as late:
        drawn(low, request(handed=drawn(high, request())))
    assert early + late == every
    first, after = Interval(boundary, 1.0).times(1000)
    assert early
    assert all(first <= time < after for time in early)
    assert late
    assert all(0 <= time < first for time in late)


@pytest.mark.parametrize("kind", ["sdxl", "pixart"])
def test_an_expert_of_high_levels_alone_ends_in_what_it_foresees(kind, tiny_model):
    """Its last step goes to the clean picture: no noise is left in what is shown."""
    path, stretch = tiny_model(kind), Stretch(0.4, 1.0)
    alone, leaving = family_of(kind, path, stretch), family_of(kind, path, Stretch(0.4, 1.0, False))
    sampler = alone.sampler("EulerDiscreteScheduler")  # type: ignore[attr-defined]
    sampler.set_timesteps(STEPS)
    assert sampler.sigmas[-1] == 0
    assert sampler.sigmas[-2] > 0
    ended, left = drawn(alone, request()), drawn(leaving, request())
    assert (ended - left).abs().max() > 0.1
    assert len(sampler.sigmas) == len(sampler.timesteps) + 1


@pytest.mark.parametrize("kind", ["sdxl", "pixart"])
def test_an_expert_of_low_levels_keeps_the_picture_that_it_begins_from(kind, tiny_model):
    """It is noised to the boundary only, in the scale of the family's own sampler."""
    path = tiny_model(kind)
    low = family_of(kind, path, Stretch(0.0, 0.02))
    picture = 3.0 * torch.randn(1, 4, 32, 16, generator=torch.Generator().manual_seed(1))
    asked = ImageRequest(
        width=32,
        height=64,
        steps=100,
        guidance=1.0,
        generator=torch.Generator().manual_seed(5),
        output_type="latent",
        picture=picture,
    )
    assert (drawn(low, asked) - picture).abs().mean() < 0.2 * picture.abs().mean()


def test_too_few_steps_are_told(tiny_model):
    """A stretch in which no step falls cannot be drawn; nothing is made up."""
    family = family_of("sdxl", tiny_model("sdxl"), Stretch(0.0, 0.0005))
    with pytest.raises(ValueError, match="none of 10 steps"):
        drawn(family, request(picture=torch.zeros(1, 4, 32, 16)))


@pytest.mark.parametrize(("number", "part"), [(1, (0.4, 1.0)), (2, (0.0, 0.4))])
def test_flavours_of_pixart_train_their_own_part(number, part):
    """Stage one from noise to composition, stage two the last 400 times."""
    flavour = f"900M-1024-v0.7-stage{number}"
    config = resolve(f'[model]\nfamily = "pixart"\nflavour = "{flavour}"\n', env={}).config
    assert config is not None
    assert (config.noise.interval.low, config.noise.interval.high) == part
    assert config.validation.levels == "trained"
