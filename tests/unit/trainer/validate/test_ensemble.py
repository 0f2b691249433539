"""Validation pictures of models that cannot draw alone: experts, and models that enlarge."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from tests.support.families import make_tiny
from tests.support.kinds.deepfloyd import build as tiny_if
from tests.support.kinds.sdxl import build, build_refiner
from tests.support.pictures import make_folder
from tests.support.tiny import save
from trainer.adapters.build import build_trainable
from trainer.config.resolve import resolve
from trainer.data.prepare import make_loader, prepare
from trainer.loop.build import assemble
from trainer.loop.parts import Parts
from trainer.loop.session import Session
from trainer.loop.step import optimiser_step
from trainer.models.base import build_family
from trainer.models.request import ImageRequest
from trainer.runs.events import read_events
from trainer.runs.files import read_json
from trainer.runs.layout import RunDir
from trainer.validate.ensemble import ensemble, sample_batch
from trainer.validate.heldout import held_out_loss
from trainer.validate.sample import make_samples

JOB = """
train.steps = 10
compute.device = "cpu"
compute.precision.dtype = "fp32"
validation.prompts = ["a red apple", "a blue thing"]
validation.steps = 10
validation.guidance = 3.0
cache.root = "{work}/cache"
data.workers = 0
{model}
[[data.datasets]]
id = "a"
path = "{work}/pictures"
resolution = "64px2"
{dataset}
{more}
"""
SMALL = (
    "conditioning = [{generate = 'low_resolution', "
    "options = {downscale_factor = 4, blur_radius = 0, noise_level = 0}}]"
)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("models")
    return {
        "base": make_tiny("sdxl", root / "base"),
        "refiner": save(lambda: build_refiner(build()), root / "refiner", seed=1),
        "two": save(lambda: tiny_if(stage=2), root / "two"),
    }


def parts_of(work: Path, model: str, dataset: str = "", more: str = "") -> Parts:
    """A job ready to step."""
    make_folder(work / "pictures", 6, sizes=((64, 64), (96, 48)))
    text = JOB.format(work=work, model=model, dataset=dataset, more=more)
    resolved = resolve(text, env={})
    assert resolved.config is not None, resolved.findings
    assert not [f for f in resolved.findings if f.level == "error"], resolved.findings
    family = build_family(resolved.config, torch.device("cpu"), torch.float32)
    prepared = prepare(
        resolved.config, family, on_event=lambda *a, **k: None, should_stop=lambda: False
    )
    family.load("denoiser")
    trainable = build_trainable(resolved.config, family, torch.float32)
    return assemble(resolved.config, family, prepared, trainable)


def refiner_job(models: dict[str, Path], **validation: Any) -> str:
    lines = [f"validation.{key} = {value!r}" for key, value in validation.items()]
    model = ['model.family = "sdxl"', 'model.flavour = "refiner-1.0"']
    return "\n".join((*model, f'model.path = "{models["refiner"]}"', *lines))


def pictures(parts: Parts, work: Path) -> tuple[list[dict[str, Any]], list[Image.Image]]:
    session = Session(RunDir(work / "run").create(), name="r", attempt=1)
    make_samples(parts, session, 0)
    session.close()
    folder = session.run.samples_at(0)
    entries = (read_json(folder / "meta.json") or {})["images"]
    return entries, [Image.open(folder / entry["file"]) for entry in entries]


def test_two_experts_draw_a_prompt_together(models, tmp_path):
    """The other one is loaded for the pictures alone, with text of its own encoders; the picture
    follows the prompt from noise, in the asked size."""
    job = refiner_job(models, other_model=str(models["base"]))
    parts = parts_of(tmp_path, job)
    apple = parts.prepared.drawings[0]
    entries = {"trained": apple.text, "other": parts.prepared.other_embeds[apple.prompt]}
    widths = {name: entry["prompt_embeds"].shape[1] for name, entry in entries.items()}
    assert widths == {"trained": 32, "other": 64}
    with ensemble(parts) as made:
        other, trained = made.denoisers
        assert trained is parts.family.denoiser
        assert other.config.cross_attention_dim == 64
        seen: dict[str, list[float]] = {"base": [], "refiner": []}
        for name, denoiser in zip(seen, made.denoisers, strict=True):
            denoiser.register_forward_pre_hook(
                lambda _, args, times=seen[name]: times.append(float(args[1]))
            )
        generator = torch.Generator().manual_seed(1)
        asked = ImageRequest(width=64, height=64, steps=10, guidance=3.0, generator=generator)
        with torch.no_grad():
            made.picture(apple, asked, 0)
    assert (len(seen["base"]), len(seen["refiner"])) == (8, 2)
    assert min(seen["base"]) >= 200 > max(seen["refiner"])
    entries, images = pictures(parts, tmp_path)
    assert [e["prompt"] for e in entries] == ["a red apple", "a blue thing"]
    assert all(image.size == (64, 64) for image in images)
    assert not any("sample" in entry for entry in entries)
    assert images[0].tobytes() != images[1].tobytes()


def test_the_trained_part_counts_in_a_picture_of_two(models, tmp_path):
    """Other weights of the refiner, another picture; without its part it would not matter."""
    parts = parts_of(tmp_path, refiner_job(models, other_model=str(models["base"])))
    _, before = pictures(parts, tmp_path / "one")
    for parameter in parts.parameters:
        parameter.data.normal_(0.0, 0.5)
    _, after = pictures(parts, tmp_path / "two")
    assert before[0].tobytes() != after[0].tobytes()


def test_an_expert_of_low_levels_alone_begins_from_samples_and_says_so(models, tmp_path):
    """Each picture names its sample and has its size; the same at every step."""
    parts = parts_of(tmp_path, refiner_job(models))
    entries, images = pictures(parts, tmp_path)
    names = [entry["sample"] for entry in entries]
    for index, image in enumerate(images):
        batch, name = sample_batch(parts, index)
        height, width = (2 * side for side in batch.latents.shape[-2:])
        assert (image.size, names[index]) == ((width, height), name)
    assert len(set(names)) == 2
    events = read_events(RunDir(tmp_path / "run").events)
    assert [e["sample"] for e in events if e["kind"] == "sample.saved"] == names
    _, again = pictures(parts, tmp_path / "again")
    assert [a.tobytes() for a in again] == [i.tobytes() for i in images]


@pytest.mark.parametrize(("chained", "call"), [(True, 3), (True, 10), (False, 2)])
def test_a_stop_is_heard_before_the_next_step_of_whichever_model_draws(
    chained, call, models, tmp_path, monkeypatch
):
    """The base makes 8 calls of each 10, the refiner 2; what was cut short is not complete."""
    other = {"other_model": str(models["base"])} if chained else {}
    parts = parts_of(tmp_path, refiner_job(models, **other))
    session = Session(RunDir(tmp_path / "run").create(), name="r", attempt=1)
    asked: list[int] = []
    monkeypatch.setattr(session, "stop_requested", lambda: asked.append(1) or len(asked) == call)
    make_samples(parts, session, 0)
    session.close()
    assert len(asked) == call
    assert not (session.run.samples_at(0) / "meta.json").exists()


def test_held_out_samples_come_first(models, tmp_path):
    """What is trained on would show memory."""
    make_folder(tmp_path / "held", 2, seed=9)
    held = f"[[data.datasets]]\nid='h'\npath='{tmp_path}/held'\nrole='eval'\nresolution='64px2'"
    parts = parts_of(tmp_path, refiner_job(models), more=held)
    batch, name = sample_batch(parts, 0)
    assert batch.dataset == "h"
    assert name in {p.name for p in (tmp_path / "held").glob("*.png")}
    assert sample_batch(parts, 1)[1] != name
    assert sample_batch(parts, 2)[1] == name


def test_an_ordinary_model_begins_from_noise(models, tmp_path):
    """Also when a part of its noise levels is trained: the rest it knows already."""
    job = f'model.family = "sdxl"\nmodel.path = "{models["base"]}"\nnoise.interval.high = 0.3'
    parts = parts_of(tmp_path, job)
    with ensemble(parts) as made:
        assert made.denoisers == [parts.family.denoiser]
        assert (parts.family.stretch.low, parts.family.stretch.high) == (0.0, 1.0)
    entries, _ = pictures(parts, tmp_path)
    assert "sample" not in entries[0]


def test_stage_two_is_trained_and_drawn_through_the_ordinary_loop(models, tmp_path):
    """Partner, level, loss, held-out loss and pictures of held-out samples made large again."""
    make_folder(tmp_path / "held", 2, seed=9)
    held = (
        f"[[data.datasets]]\nid='h'\npath='{tmp_path}/held'\nrole='eval'\nresolution='64px2'\n"
        + SMALL
    )
    model = (
        'model.family = "deepfloyd"\nmodel.flavour = "ii-medium-450m"\n'
        f'model.path = "{models["two"]}"'
    )
    parts = parts_of(tmp_path, model, SMALL, held)
    batches = iter(make_loader(parts.prepared, parts.family, parts.config, 0))
    batch = next(batches)
    (small,) = batch.conditioning
    assert small.shape == batch.latents.shape
    blurred = torch.nn.functional.avg_pool2d(batch.latents, 4)
    near = torch.nn.functional.avg_pool2d(small, 4)
    assert (near - blurred).abs().mean() < 0.1
    assert (small - batch.latents).abs().mean() > 0.001
    parts.family.denoiser.train()
    levels: list[torch.Tensor] = []
    told = parts.family.denoiser.register_forward_pre_hook(
        lambda _, args, kwargs: levels.append(kwargs["class_labels"]), with_kwargs=True
    )
    scalars = optimiser_step(parts, batches, 0)
    optimiser_step(parts, batches, 1)
    assert levels[0].any()
    assert not torch.equal(levels[0], levels[1])
    assert scalars.loss is not None
    assert scalars.loss.isfinite()
    assert scalars.grad_norm > 0
    first = held_out_loss(parts, should_stop=lambda: False)
    assert levels[-1].any()
    assert first == held_out_loss(parts, should_stop=lambda: False)
    told.remove()
    entries, images = pictures(parts, tmp_path)
    assert {entry["sample"] for entry in entries} <= {"p000.png", "p001.png"}
    assert all(image.size == (64, 64) for image in images)
