"""Drawing one validation picture: by the trained model, or by it and the expert of its other part.

A model that cannot begin from noise (the expert of low noise levels, a model that enlarges) is
given a sample of the data: of the held-out ones where there are any, the same for a prompt at
every step. What such a picture shows is said beside it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from torch import nn

from trainer.data.batch import Batch
from trainer.data.drawings import Drawing, Entry
from trainer.loop.parts import Parts
from trainer.models.base import Family
from trainer.models.controlnet.base import ControlNet
from trainer.models.experts import other_expert, trained_stretch
from trainer.models.request import ImageRequest


class Ensemble:
    """Pipelines of the models that draw, in their order; `denoisers` are those that are called."""

    def __init__(self, parts: Parts, other: Family | None) -> None:
        self._parts = parts
        self._order: list[Family] = [parts.family]
        if other is not None:
            leads = other.stretch.high > parts.family.stretch.high
            self._order.insert(0 if leads else 1, other)
        kinds = {drawing.picture is not None for drawing in parts.prepared.drawings}
        self._pipelines = {edit: [_pipeline(f, edit=edit) for f in self._order] for edit in kinds}

    @property
    def denoisers(self) -> list[nn.Module]:
        return [family.denoiser for family in self._order]

    def picture(
        self, drawing: Drawing, request: ImageRequest, index: int
    ) -> tuple[Any, dict[str, str]]:
        """The picture of a drawing, the `index`-th, and what it began from where not from noise."""
        request, shows = self._begun(request, index)
        pipelines = self._pipelines[drawing.picture is not None]
        last = len(self._order) - 1
        made: Any = None
        for place, (family, pipeline) in enumerate(zip(self._order, pipelines, strict=True)):
            asked = request if place == last else replace(request, output_type="latent")
            if place:
                asked = replace(asked, handed=made, picture=None)
            text, negative = self._texts(family, drawing)
            artist = _artist(family, edit=drawing.picture is not None)
            kwargs = artist.pipeline_kwargs(text, negative, asked)
            with self._parts.autocast():
                made = pipeline(**kwargs).images
        return made[0], shows

    def _texts(self, family: Family, drawing: Drawing) -> tuple[Entry, Entry]:
        """Prompt and negative as the encoders of a model have them."""
        if family is self._parts.family:
            return drawing.text, drawing.negative
        others = self._parts.prepared.other_embeds
        return others[drawing.prompt], others[self._parts.config.validation.negative]

    def _begun(self, request: ImageRequest, index: int) -> tuple[ImageRequest, dict[str, str]]:
        """The request with the sample that it needs, of that sample's size."""
        first = self._order[0]
        begins, looks = first.stretch.high < 1.0, bool(first.probe_references())
        if not (begins or looks):
            return request, {}
        batch, name = sample_batch(self._parts, index)
        height, width = (int(side * first.spatial_factor) for side in batch.latents.shape[-2:])
        device = self._parts.device
        changed = replace(
            request,
            width=width,
            height=height,
            picture=batch.latents.to(device) if begins else None,
            references=tuple(c.to(device) for c in batch.conditioning),
        )
        return changed, {"sample": name}


def _artist(family: Family, *, edit: bool) -> Family | ControlNet:
    """Who draws: a control net where there is one and a picture for it, else the family."""
    return family.control if edit and family.control is not None else family


def _pipeline(family: Family, *, edit: bool) -> Any:
    pipeline = _artist(family, edit=edit).edit_pipeline() if edit else family.pipeline()
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


@contextmanager
def ensemble(parts: Parts) -> Iterator[Ensemble]:
    """Within the block all that draws is loaded."""
    family = parts.family
    family.load("vae")
    family.stretch = trained_stretch(parts.config)
    other = other_expert(parts.config, family)
    if other is not None:
        other.load("denoiser")
        other.ready_denoiser()
        if family.has_vae:
            other.modules["vae"] = family.modules["vae"]
    try:
        yield Ensemble(parts, other)
    finally:
        if other is not None:
            other.unload("denoiser")


def sample_batch(parts: Parts, index: int) -> tuple[Batch, str]:
    """One sample of the data as a batch, and its name: the `index`-th, taking turns among buckets,
    so that all shapes are seen."""
    plan = parts.prepared.plan_eval or parts.prepared.plan_train
    pool, turn = index % len(plan.pools), index // len(plan.pools)
    item = plan.item(pool, turn % len(plan.rows[pool]))
    reader = parts.prepared.reader(parts.family)
    batch = reader.batch([item], [0], [item.captions[0]], plan.dataset(pool))
    return batch, item.relpath
