"""What is Stable Cascade's own: the grid, dropout, told pictures, two stages, places of parts."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from torch import nn

from tests.support.families import (
    diffusers_pipeline,
    random_latents,
    some_times,
    tiny_config,
    tiny_family,
    told,
)
from tests.support.pictures import make_folder
from trainer.adapters.build import build_trainable
from trainer.cache.estimate import picture_shape
from trainer.catalog.families.stable_cascade import FACTS
from trainer.config.resolve import resolve
from trainer.config.schema.noise import NoiseConfig
from trainer.data.batch import Batch
from trainer.data.prepare import make_loader, prepare
from trainer.errors import ConfigError
from trainer.models.base import build_family
from trainer.models.request import ImageRequest
from trainer.objective.compose import build_objective
from trainer.objective.cosine import CosineObjective, CosineSchedule

KIND = "stable_cascade"
CAPTIONS = ["a red apple", "a blue car in the rain"]
Models = Callable[[str], Path]


def request(guidance: float = 1.0, output_type: str = "pt") -> ImageRequest:
    return ImageRequest(
        width=256,
        height=384,
        steps=3,
        guidance=guidance,
        generator=torch.Generator().manual_seed(5),
        output_type=output_type,
    )


def without(folder: Path, target: Path, *names: str) -> Path:
    return shutil.copytree(folder, target, ignore=shutil.ignore_patterns(*names))


# --- the grid --------------------------------------------------------------------------------


@pytest.mark.parametrize("side", [128 * n for n in range(1, 33)])
def test_every_side_has_one_number_of_latents(side):
    """Cache, masks, the prior's pipeline (a float, rounded up) and the decoder's (one rounded
    down) agree for every side that a bucket can have; 1024 pixels are 24."""
    latents = side * 3 // 128
    assert picture_shape((side, 2 * side), 16, FACTS.spatial_factor) == (16, 2 * latents, latents)
    assert side // FACTS.spatial_factor == latents
    assert math.ceil(side / 42.67) == latents
    assert 4 * int(latents * 10.67) == side  # stage A makes four pixels of each of its latents
    assert (side == 1024) == (latents == 24)


def test_steps_of_sizes_are_whole_latents():
    """128 pixels is the least step of which any number is a whole number of latents."""
    assert FACTS.whole_pixels == FACTS.pixel_multiple == FACTS.sample_multiple == 128
    assert all((n / FACTS.spatial_factor).denominator > 1 for n in range(1, 128))


def batches_of(folder: Path, work: Path) -> list[Batch]:
    """First pass of a job over pictures of two shapes, with masks."""
    make_folder(work / "pictures", 6, sizes=((300, 260), (256, 400)))
    (work / "masks").mkdir()
    for path in (work / "pictures").glob("*.png"):
        size = Image.open(path).size
        mask = Image.new("L", size, 0)
        mask.paste(255, (0, 0, size[0] // 2, size[1]))
        mask.save(work / "masks" / path.name)
    resolved = resolve(f"""
model.family = "{KIND}"
model.path = "{folder}"
train.steps = 1
train.batch_size = 2
compute.device = "cpu"
cache.root = "{work}/cache"
data.workers = 0
data.datasets = [
  {{id = "a", path = "{work}/pictures", resolution = "256px2", conditioning = [{{dataset = "m"}}]}},
  {{id = "m", path = "{work}/masks", role = "mask"}},
]
""")
    assert resolved.config is not None, resolved.findings
    assert [f for f in resolved.findings if f.level == "error"] == []
    family = build_family(resolved.config, torch.device("cpu"), torch.float32)
    found = prepare(
        resolved.config, family, on_event=lambda *a, **k: None, should_stop=lambda: False
    )
    return list(islice(make_loader(found, family, resolved.config, 0), 3))


def test_masks_lie_over_their_latents(tiny_model: Models, tmp_path):
    """Buckets, latents and masks of a real job have one grid, a multiple of three, and the mask's
    own halves; shapes other than squares are among them."""
    shapes = set()
    for batch in batches_of(tiny_model(KIND), tmp_path):
        assert batch.masks is not None
        height, width = batch.latents.shape[-2:]
        assert batch.masks.shape == (2, 1, height, width)
        assert height % 3 == width % 3 == 0
        sizes = batch.condition.sizes[:, 4:6]
        assert (sizes * 3 == torch.tensor([height, width]) * 128).all()
        assert batch.masks[..., 0].min() == 1.0
        assert batch.masks[..., -1].max() == 0.0
        shapes.add((height, width))
    assert any(height != width for height, width in shapes)


def test_pictures_are_encoded_at_three_quarters(tiny_model: Models):
    """The encoder sees 32 pixels for each latent, made smaller with all pixels taking part."""
    family = tiny_family(KIND, tiny_model(KIND), "vae")
    seen: list[torch.Tensor] = []
    family.modules["vae"].register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    stripes = torch.ones(1, 3, 256, 384)
    stripes[..., ::2] = -1.0  # vanish on average; without it some of them would stay
    latents = family.encode_media(stripes, [0])
    assert seen[0].shape == (1, 3, 192, 288)
    assert seen[0][..., 8:-8].abs().max() < 0.4
    assert latents.shape == (1, 16, 6, 9)
    expected = family.modules["vae"](seen[0])
    torch.testing.assert_close(latents, expected)


# --- training --------------------------------------------------------------------------------


def test_the_objective_is_that_of_the_checkpoint(tiny_model: Models, tmp_path):
    """Continuous by the facts, bent as its scheduler says, weighed as configured."""
    folder = shutil.copytree(tiny_model(KIND), tmp_path / "bent")
    path = folder / "scheduler" / "scheduler_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"scaler": 2.0}))
    options = {"options": {KIND: {"p2_gamma": 0.5}}}
    config = tiny_config(KIND, folder, model=options)
    objective = build_objective(
        NoiseConfig(), config.loss, tiny_family(KIND, folder, model=options)
    )
    assert isinstance(objective, CosineObjective)
    assert objective.schedule == CosineSchedule(scaler=2.0)
    assert objective.p2_gamma == 0.5
    plain = build_objective(NoiseConfig(), config.loss, tiny_family(KIND, tiny_model(KIND)))
    assert plain.p2_gamma == 1.0  # type: ignore[attr-defined]


def test_nothing_is_dropped_in_training(tiny_model: Models, tmp_path):
    """The checkpoint asks for dropout, and two training passes agree all the same; what is saved
    says what the checkpoint said."""
    family = tiny_family(KIND, tiny_model(KIND), "text", "denoiser")
    assert family.denoiser.config.dropout == [0.1, 0.1]
    build_trainable(tiny_config(KIND, tiny_model(KIND)), family, torch.float32)
    assert family.denoiser.training
    text = family.collate_text(family.encode_text(CAPTIONS))
    noisy, time = random_latents(family), some_times(family)
    with torch.no_grad():
        first, second = (family.forward(noisy, time, told(text)) for _ in range(2))
    assert torch.equal(first, second)
    family.denoiser.save_config(tmp_path)
    assert json.loads((tmp_path / "config.json").read_text())["dropout"] == [0.1, 0.1]


def test_a_picture_can_be_told(tiny_model: Models):
    """`image_embeds` of a condition are what the module takes as clip_img; zeros are none."""
    family = tiny_family(KIND, tiny_model(KIND), "text", "denoiser")
    text = family.collate_text(family.encode_text(CAPTIONS))
    noisy, time, embeds = random_latents(family), some_times(family), torch.randn(2, 32)

    def ours(told: torch.Tensor | None) -> torch.Tensor:
        condition: Any = SimpleNamespace(text=text, image_embeds=told)
        with torch.no_grad():
            return family.forward(noisy, time, condition)

    theirs = family.denoiser(
        noisy,
        time,
        clip_text_pooled=text["pooled_prompt_embeds"],
        clip_text=text["prompt_embeds"],
        clip_img=embeds[:, None],
    ).sample
    torch.testing.assert_close(ours(embeds), theirs.detach())
    assert torch.equal(ours(None), ours(torch.zeros(2, 32)))
    assert (ours(None) - ours(embeds)).abs().max() > 1e-4


def test_fp32_is_the_familys_default(tiny_model: Models):
    """Also of a model of one's own, which has no flavour."""
    text = f'model.family = "{KIND}"\nmodel.path = "{tiny_model(KIND)}"\ntrain.steps = 1\n'
    resolved = resolve(text, env={})
    assert resolved.config is not None
    assert resolved.config.compute.precision.dtype == "fp32"
    assert "CFG230" not in {f.code for f in resolved.findings}


# --- sampling --------------------------------------------------------------------------------


@pytest.mark.parametrize("guidance", [1.0, 4.0])
def test_sampling_equals_the_combined_pipeline(guidance, tiny_model: Models):
    """Cached texts draw what diffusers' own pair of pipelines draws from the captions."""
    from diffusers import StableCascadeCombinedPipeline

    family = tiny_family(KIND, tiny_model(KIND), "text", "denoiser")
    text, negative = family.encode_text(CAPTIONS)
    ours = family.pipeline()
    ours.set_progress_bar_config(disable=True)
    asked = request(guidance)
    found = ours(**family.pipeline_kwargs(text, negative, asked)).images
    prior = diffusers_pipeline(KIND, tiny_model(KIND))
    theirs = StableCascadeCombinedPipeline(
        tokenizer=prior.tokenizer,
        text_encoder=prior.text_encoder,
        decoder=family.modules["decoder"],
        scheduler=ours.second.scheduler,
        vqgan=family.modules["vqgan"],
        prior_prior=prior.prior,
        prior_text_encoder=prior.text_encoder,
        prior_tokenizer=prior.tokenizer,
        prior_scheduler=prior.scheduler,
    )
    theirs.set_progress_bar_config(disable=True)
    expected = theirs(
        CAPTIONS[0],
        negative_prompt=CAPTIONS[1],
        width=256,
        height=384,
        prior_num_inference_steps=3,
        prior_guidance_scale=guidance,
        num_inference_steps=10,
        generator=torch.Generator().manual_seed(5),
        output_type="pt",
    ).images
    assert found.shape == (1, 3, 384, 256)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)


def test_both_stages_can_be_stopped(tiny_model: Models):
    """The loop's callback is asked at each step of either, and what it raises comes through."""
    family = tiny_family(KIND, tiny_model(KIND), "text", "denoiser")
    text = family.encode_text(CAPTIONS[:1])[0]
    pipe = family.pipeline()
    pipe.set_progress_bar_config(disable=True)
    seen: list[str] = []

    def on_step(pipeline, index, time, kwargs):
        seen.append(type(pipeline).__name__)
        if len(seen) == 13:
            raise InterruptedError
        return kwargs

    kwargs = family.pipeline_kwargs(text, None, request())
    with pytest.raises(InterruptedError):
        pipe(**kwargs, callback_on_step_end=on_step)
    assert seen == ["StableCascadePriorPipeline"] * 3 + ["StableCascadeDecoderPipeline"] * 10


def test_latents_are_drawn_by_the_decoder(tiny_model: Models):
    """decode gives pictures in -1..1 of the size that was encoded, the same at each call."""
    family = tiny_family(KIND, tiny_model(KIND), "denoiser", "vae")
    latents = family.encode_media(torch.rand(1, 3, 128, 256) * 2 - 1, [0])
    pixels = family.decode(latents)
    assert pixels.shape == (1, 3, 128, 256)
    assert -1.0 <= pixels.min() < pixels.max() <= 1.0
    assert torch.equal(pixels, family.decode(latents))
    assert not torch.equal(pixels, family.decode(latents + 1.0))
    family.unload("vae")
    assert set(family.modules) == {"denoiser"}


@pytest.mark.parametrize("part", ["decoder", "vqgan"])
def test_without_a_decoder_nothing_is_drawn(part, tiny_model: Models, tmp_path):
    """No picture, and no work on one, but a finding; latents are made all the same."""
    folder = without(tiny_model(KIND), tmp_path / "bare", part)
    options = {"options": {KIND: {"decoder": str(folder)}}}
    family = tiny_family(KIND, folder, "text", "denoiser", model=options)
    text = family.encode_text(CAPTIONS[:1])[0]
    pipe = family.pipeline()
    pipe.set_progress_bar_config(disable=True)
    calls: list[Any] = []
    family.denoiser.register_forward_hook(lambda *a: calls.append(a))
    with pytest.raises(ConfigError, match="CFG232") as caught:
        pipe(**family.pipeline_kwargs(text, None, request()))
    assert caught.value.finding.level == "warn"
    assert caught.value.finding.where == f"model.options.{KIND}.decoder"
    assert not calls
    latents = pipe(**family.pipeline_kwargs(text, None, request(output_type="latent"))).images
    assert latents.shape == (1, 16, 9, 6)


# --- where the parts lie ----------------------------------------------------------------------


def test_the_encoder_is_found_where_it_is_named(tiny_model: Models, tmp_path):
    """A file, its folder, a folder below it, the decoder's repository, or beside the model."""
    whole, name = tiny_model(KIND), str(FACTS.vae_file)
    bare = without(whole, tmp_path / "bare", name, "decoder", "vqgan")
    (tmp_path / "parts" / "below").mkdir(parents=True)
    for place in (tmp_path / "parts", tmp_path / "parts" / "below"):
        shutil.copy(whole / name, place)
    shutil.copy(whole / name, tmp_path / "other-name.safetensors")
    places: list[tuple[Path, dict[str, Any]]] = [
        (whole, {}),
        (bare, {"components": {"vae": {"path": str(tmp_path / "other-name.safetensors")}}}),
        (bare, {"components": {"vae": {"path": str(tmp_path / "parts")}}}),
        (bare, {"components": {"vae": {"path": str(tmp_path / "parts"), "subfolder": "below"}}}),
        (bare, {"options": {KIND: {"decoder": str(tmp_path / "parts")}}}),
    ]
    expected = load_file(whole / name)["mapper.0.weight"].float()
    for folder, options in places:
        vae = tiny_family(KIND, folder, "vae", model=options).modules["vae"]
        assert torch.equal(vae.mapper[0].weight, expected)
        assert not any(module.training for module in vae.modules())


def test_no_encoder_no_latents(tiny_model: Models, tmp_path):
    """A folder without it, or a repository that cannot be reached, is a finding with the remedy;
    so is a file with a tensor less. Random numbers never take their place."""
    name = str(FACTS.vae_file)
    bare = without(tiny_model(KIND), tmp_path / "bare", name)
    nothing = {"components": {"vae": {"path": str(bare)}}}
    with pytest.raises(ConfigError, match=r"CFG231 model\.components\.vae\.path.*has no file"):
        tiny_family(KIND, bare, "vae", model=nothing)
    with pytest.raises(ConfigError, match=r"CFG231 model\.options.*stabilityai/stable-cascade"):
        tiny_family(KIND, bare, "vae")
    tensors = load_file(tiny_model(KIND) / name)
    del tensors["backbone.7.1.running_var"]
    save_file(tensors, bare / name)
    with pytest.raises(ConfigError, match=r"ENV003.*running_var"):
        tiny_family(KIND, bare, "vae")
    (bare / name).write_bytes(b"no tensors")
    with pytest.raises(ConfigError, match="ENV001"):
        tiny_family(KIND, bare, "vae")


def test_the_lite_flavour_is_another_folder(tiny_model: Models, tmp_path):
    """stage-c-lite trains `prior_lite` of the same repository."""
    resolved = resolve(f'model.family = "{KIND}"\nmodel.flavour = "stage-c-lite"\n', env={})
    assert resolved.config is not None
    subfolder = resolved.config.model.components.denoiser.subfolder
    assert subfolder == "prior_lite"
    folder = shutil.copytree(tiny_model(KIND), tmp_path / "both")
    shutil.copytree(folder / "prior", folder / "prior_lite")
    weights = next((folder / "prior_lite").glob("*.safetensors"))
    tensors = load_file(weights)
    tensors["clf.1.bias"] += 1.0
    save_file(tensors, weights)
    lite = tiny_family(
        KIND, folder, "denoiser", model={"components": {"denoiser": {"subfolder": subfolder}}}
    )
    whole = tiny_family(KIND, folder, "denoiser")
    difference = lite.denoiser.clf[1].bias - whole.denoiser.clf[1].bias
    torch.testing.assert_close(difference, torch.ones(16))


def test_upstreams_own_file_of_stage_c_loads(tiny_model: Models, tmp_path):
    """One tensor for all three projections, as in the published stage_c.safetensors."""
    folder = tiny_model(KIND)
    tensors = load_file(next((folder / "prior").glob("*.safetensors")))
    original = {}
    for key, tensor in tensors.items():
        head, attention, tail = key.partition(".attention.")
        if not attention:
            original[key] = tensor
        elif tail.startswith("to_out.0."):
            original[f"{head}.attention.attn.out_proj.{tail.removeprefix('to_out.0.')}"] = tensor
        elif tail.startswith("to_q."):
            kind = tail.removeprefix("to_q.")
            parts = [tensors[f"{head}.attention.to_{x}.{kind}"] for x in "qkv"]
            original[f"{head}.attention.attn.in_proj_{kind}"] = torch.cat(parts)
    save_file(original, tmp_path / "stage_c.safetensors")
    place = {"components": {"denoiser": {"path": str(tmp_path / "stage_c.safetensors")}}}
    single = tiny_family(KIND, folder, "denoiser", model=place).denoiser
    state = single.state_dict()
    assert state.keys() == tensors.keys()
    assert all(torch.equal(state[k], v) for k, v in tensors.items())


def test_a_style_is_read_off_the_picture_encoder(tiny_model: Models):
    """The style distance has features here too: zero to itself, more to other pictures."""
    from trainer.validate.metrics import gram_distance, style_of

    vae = tiny_family(KIND, tiny_model(KIND), "vae").modules["vae"]
    assert isinstance(vae, nn.Module)
    noise = Image.effect_noise((128, 128), 80).convert("RGB")
    flat = Image.linear_gradient("L").resize((128, 128)).convert("RGB")
    styles = [style_of(vae, [picture], (128, 128)) for picture in (noise, flat)]
    assert len(styles[0]) == 7
    assert gram_distance(styles[0], styles[0]) == 0.0
    assert gram_distance(styles[0], styles[1]) > 0.1
