"""Validation pictures: the family's real diffusers pipeline around the live model.

Each picture has its own fixed seed, so pictures of different steps differ only by the weights.
They are written as they are finished; `meta.json` comes last and marks the set as complete.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from trainer.data.drawings import Drawing
from trainer.faults import point
from trainer.loop.parts import Parts
from trainer.loop.session import Session
from trainer.models.base import Family, ImageRequest
from trainer.models.controlnet.base import ControlNet
from trainer.rng import stream_seed
from trainer.runs.files import read_json, write_json
from trainer.runs.layout import step_of
from trainer.validate import gallery


class Aborted(Exception):
    """Sampling was cut short by a stop request."""


def make_samples(parts: Parts, session: Session, step: int) -> None:
    """Sample every prompt with the current weights and write pictures, grid and comparison."""
    folder = session.run.samples_at(step)
    folder.mkdir(parents=True, exist_ok=True)
    denoiser = parts.family.modules["denoiser"]
    denoiser.eval()
    try:
        with torch.no_grad(), parts.weights_for_use(), _listening(denoiser, session):
            entries = _sample_all(parts, session, step)
    except Aborted:
        return
    finally:
        denoiser.train()
    write_json(folder / "meta.json", {"step": step, "images": entries})
    _draw_grids(parts, session, step)


def _sample_all(parts: Parts, session: Session, step: int) -> list[dict[str, Any]]:
    config = parts.config.validation
    drawings = parts.prepared.drawings
    kinds = {drawing.picture is not None for drawing in drawings}
    pipelines = {edit: _pipeline(parts, edit=edit) for edit in kinds}
    entries: list[dict[str, Any]] = []
    for index, drawing in enumerate(drawings):
        prompt, pipeline = drawing.prompt, pipelines[drawing.picture is not None]
        for copy in range(config.images_per_prompt):
            seed = stream_seed(config.seed, index, copy, "validation") % 2**31
            point("validate.sample")
            image = _one(parts, pipeline, drawing, seed)
            path = session.run.samples_at(step) / f"{len(entries):03d}.png"
            image.save(path)
            entry = {"prompt": prompt, "seed": seed, "width": image.width, "height": image.height}
            relative = str(path.relative_to(session.run.path))
            entries.append(entry | {"file": path.name})
            session.events.emit("sample.saved", step=step, path=relative, **entry)
    return entries


@contextmanager
def _listening(denoiser: nn.Module, session: Session) -> Iterator[None]:
    """Within the block each call of the denoiser first looks for a stop request.

    Not all pipelines call back after a step, and some that do not take the argument silently.
    """

    def look(*_: object) -> None:
        if session.stop_requested():
            raise Aborted

    handle = denoiser.register_forward_pre_hook(look)
    try:
        yield
    finally:
        handle.remove()


def _artist(parts: Parts, *, edit: bool) -> Family | ControlNet:
    """Who draws: a control net where there is one and a picture for it, else the family."""
    control = parts.family.control
    return control if edit and control is not None else parts.family


def _pipeline(parts: Parts, *, edit: bool) -> Any:
    if "vae" not in parts.family.modules:
        parts.family.load("vae")
    pipeline = _artist(parts, edit=edit).edit_pipeline() if edit else parts.family.pipeline()
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def _one(parts: Parts, pipeline: Any, drawing: Drawing, seed: int) -> Any:
    config = parts.config.validation
    picture = drawing.picture
    width, height = picture.size if picture else parts.prepared.sample_size
    request = ImageRequest(
        width=width,
        height=height,
        steps=config.steps,
        guidance=parts.family.facts.guidance if config.guidance is None else config.guidance,
        generator=torch.Generator().manual_seed(seed),
        pictures=(picture,) if picture else (),
        control_scale=config.control_scale,
    )
    artist = _artist(parts, edit=picture is not None)
    kwargs = artist.pipeline_kwargs(drawing.text, drawing.negative, request)
    with parts.autocast():
        return pipeline(**kwargs).images[0]


def _draw_grids(parts: Parts, session: Session, step: int) -> None:
    """`grid.png` of this step, and `compare.png`: first pictures beside the newest."""
    run = session.run
    steps = sorted(s for p in run.samples.iterdir() if (s := step_of(p.name)) is not None)
    sets = {s: load_samples(session, s) for s in {steps[0], step}}
    captions = [entry["prompt"] for entry in sets[step][1]]
    grid = run.samples_at(step) / "grid.png"
    gallery.grid(sets[step][0], columns=min(4, len(captions)), labels=captions).save(grid)
    session.events.emit("grid.saved", step=step, path=str(grid.relative_to(run.path)))
    if steps[0] != step and len(sets[steps[0]][0]) == len(captions):
        compare = run.samples / "compare.png"
        gallery.compare(sets[steps[0]][0], sets[step][0], captions).save(compare)
        session.events.emit("grid.saved", step=step, path=str(compare.relative_to(run.path)))


def load_samples(session: Session, step: int) -> tuple[list[Any], list[dict[str, Any]]]:
    """Pictures of a completed set and their entries; empty lists when there is none."""
    from PIL import Image

    folder = session.run.samples_at(step)
    entries = (read_json(folder / "meta.json") or {"images": []})["images"]
    return [Image.open(folder / entry["file"]).convert("RGB") for entry in entries], entries
