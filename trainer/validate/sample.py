"""Validation pictures: the family's real diffusers pipeline around the live model.

Each picture has its own fixed seed, so pictures of different steps differ only by the weights.
They are written as they are finished; `meta.json` comes last and marks the set as complete.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from trainer.config.schema.validation import ValidationAdapter
from trainer.data.drawings import Drawing
from trainer.faults import point
from trainer.loop.parts import Parts
from trainer.loop.session import Session
from trainer.models.request import ImageRequest
from trainer.rng import stream_seed
from trainer.runs.files import read_json, write_json
from trainer.runs.layout import step_of
from trainer.validate import gallery
from trainer.validate.adapters import drawn_with, sets
from trainer.validate.ensemble import Ensemble, ensemble


class Aborted(Exception):
    """Sampling was cut short by a stop request."""


def make_samples(parts: Parts, session: Session, step: int) -> None:
    """Sample every prompt with the current weights and write pictures, grid and comparison."""
    folder = session.run.samples_at(step)
    folder.mkdir(parents=True, exist_ok=True)
    denoiser = parts.family.modules["denoiser"]
    denoiser.eval()
    try:
        with (
            torch.no_grad(),
            parts.weights_for_use(),
            parts.trainable.for_use(),
            ensemble(parts) as models,
            _listening(models.denoisers, session),
        ):
            entries = _sample_all(parts, session, step, models)
    except Aborted:
        return
    finally:
        denoiser.train()
    write_json(folder / "meta.json", {"step": step, "images": entries})
    _draw_grids(parts, session, step)


def _sample_all(
    parts: Parts, session: Session, step: int, models: Ensemble
) -> list[dict[str, Any]]:
    entries: list[dict[str, Any]] = []
    for adapter in sets(parts.config.validation):
        with drawn_with(parts, adapter):
            _sample_set(parts, session, step, models, adapter, entries)
    return entries


def _sample_set(
    parts: Parts,
    session: Session,
    step: int,
    models: Ensemble,
    adapter: ValidationAdapter | None,
    entries: list[dict[str, Any]],
) -> None:
    """Every drawing once; a set has the seeds of all others, so that they can be compared."""
    config = parts.config.validation
    more = {} if adapter is None else {"adapter": adapter.label}
    for index, drawing in enumerate(parts.prepared.drawings):
        for copy in range(config.images_per_prompt):
            seed = stream_seed(config.seed, index, copy, "validation") % 2**31
            point("validate.sample")
            image, begun = models.picture(drawing, _request(parts, drawing, seed), len(entries))
            path = session.run.samples_at(step) / f"{len(entries):03d}.png"
            image.save(path)
            entry = {"prompt": drawing.prompt, "seed": seed} | begun
            entry |= {"width": image.width, "height": image.height}
            relative = str(path.relative_to(session.run.path))
            entries.append(entry | more | {"file": path.name})
            session.events.emit("sample.saved", step=step, path=relative, **entry, **more)


@contextmanager
def _listening(denoisers: Sequence[nn.Module], session: Session) -> Iterator[None]:
    """Within the block each call of a denoiser first looks for a stop request.

    Not all pipelines call back after a step, and some that do not take the argument silently.
    """

    def look(*_: object) -> None:
        if session.stop_requested():
            raise Aborted

    handles = [denoiser.register_forward_pre_hook(look) for denoiser in denoisers]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _request(parts: Parts, drawing: Drawing, seed: int) -> ImageRequest:
    config = parts.config.validation
    picture = drawing.picture
    width, height = picture.size if picture else parts.prepared.sample_size
    return ImageRequest(
        width=width,
        height=height,
        steps=config.steps,
        guidance=parts.family.facts.guidance if config.guidance is None else config.guidance,
        generator=torch.Generator().manual_seed(seed),
        pictures=(picture,) if picture else (),
        control_scale=config.control_scale,
    )


def _draw_grids(parts: Parts, session: Session, step: int) -> None:
    """`grid.png` of this step, and `compare.png`: first pictures beside the newest."""
    run = session.run
    steps = sorted(s for p in run.samples.iterdir() if (s := step_of(p.name)) is not None)
    found = {s: load_samples(session, s) for s in {steps[0], step}}
    captions = [_caption(entry) for entry in found[step][1]]
    grid = run.samples_at(step) / "grid.png"
    gallery.grid(found[step][0], columns=min(4, len(captions)), labels=captions).save(grid)
    session.events.emit("grid.saved", step=step, path=str(grid.relative_to(run.path)))
    if steps[0] != step and len(found[steps[0]][0]) == len(captions):
        compare = run.samples / "compare.png"
        gallery.compare(found[steps[0]][0], found[step][0], captions).save(compare)
        session.events.emit("grid.saved", step=step, path=str(compare.relative_to(run.path)))


def _caption(entry: Mapping[str, Any]) -> str:
    return f"{entry['adapter']}: {entry['prompt']}" if "adapter" in entry else entry["prompt"]


def load_samples(session: Session, step: int) -> tuple[list[Any], list[dict[str, Any]]]:
    """Pictures of a completed set and their entries; empty lists when there is none."""
    from PIL import Image

    folder = session.run.samples_at(step)
    entries = (read_json(folder / "meta.json") or {"images": []})["images"]
    return [Image.open(folder / entry["file"]).convert("RGB") for entry in entries], entries
