"""Drawing one validation picture: by the trained model, or by it and the expert of its other part.

A model that cannot begin from noise (the expert of low noise levels, a model that enlarges) is
given a sample of the data: of the held-out ones where there are any, the same for a prompt at
every step. What such a picture shows is said beside it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from torch import Tensor, nn

from trainer.data.batch import Batch
from trainer.loop.parts import Parts
from trainer.models.base import Family, ImageRequest
from trainer.models.experts import other_expert, trained_stretch

Texts = Mapping[str, Mapping[str, Tensor]]


class Drawing:
    """Pipelines of the models that draw, in their order; `denoisers` are those that are called."""

    def __init__(self, parts: Parts, other: Family | None) -> None:
        self._parts = parts
        trained = (parts.family, parts.prepared.prompt_embeds)
        self._order: list[tuple[Family, Texts]] = [trained]
        if other is not None:
            leads = other.stretch.high > parts.family.stretch.high
            self._order.insert(0 if leads else 1, (other, parts.prepared.other_embeds))
        self._pipelines = [_quiet(family.pipeline()) for family, _ in self._order]

    @property
    def denoisers(self) -> list[nn.Module]:
        return [family.denoiser for family, _ in self._order]

    def picture(self, prompt: str, request: ImageRequest, index: int) -> tuple[Any, dict[str, str]]:
        """The picture of a prompt, the `index`-th, and what it began from where not from noise."""
        request, shows = self._begun(request, index)
        negative = self._parts.config.validation.negative
        last = len(self._order) - 1
        made: Any = None
        for place, (family, texts) in enumerate(self._order):
            asked = request if place == last else replace(request, output_type="latent")
            if place:
                asked = replace(asked, handed=made, picture=None)
            kwargs = family.pipeline_kwargs(dict(texts[prompt]), _of(texts, negative), asked)
            with self._parts.autocast():
                made = self._pipelines[place](**kwargs).images
        return made[0], shows

    def _begun(self, request: ImageRequest, index: int) -> tuple[ImageRequest, dict[str, str]]:
        """The request with the sample that it needs, of that sample's size."""
        first = self._order[0][0]
        begins, looks = first.stretch.high < 1.0, bool(first.probe_references())
        if not (begins or looks):
            return request, {}
        batch, name = sample_batch(self._parts, index)
        height, width = (side * first.spatial_factor for side in batch.latents.shape[-2:])
        device = self._parts.device
        changed = replace(
            request,
            width=width,
            height=height,
            picture=batch.latents.to(device) if begins else None,
            references=tuple(c.to(device) for c in batch.conditioning),
        )
        return changed, {"sample": name}


def _of(texts: Texts, prompt: str) -> dict[str, Tensor] | None:
    return dict(texts[prompt]) if prompt in texts else None


def _quiet(pipeline: Any) -> Any:
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


@contextmanager
def drawing(parts: Parts) -> Iterator[Drawing]:
    """Within the block all that draws is loaded."""
    family = parts.family
    family.load("vae")
    family.stretch = trained_stretch(parts.config)
    other = other_expert(parts.config, family)
    if other is not None:
        other.load("denoiser")
        if family.has_vae:
            other.modules["vae"] = family.modules["vae"]
    try:
        yield Drawing(parts, other)
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
