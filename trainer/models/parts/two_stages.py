"""A pipeline of two: one draws latents, the other draws pictures of them.

diffusers has such a pair for Stable Cascade (`StableCascadeCombinedPipeline`), but it wants all
its components at once. Here the second is made when the first picture is asked for, so latents
can be drawn without it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

DECODER_STEPS = 10  # as the decoder's pipeline has it by itself, without guidance


@dataclass(frozen=True, slots=True)
class Dtyped:
    """Stands for a text encoder of which only the precision is asked."""

    dtype: torch.dtype


@dataclass(frozen=True, slots=True)
class Drawn:
    """Pictures, or latents where those were asked for."""

    images: Any


class TwoStages:
    """Called as one pipeline; both stages report their steps to the same callback."""

    def __init__(self, first: Any, make_second: Callable[[], Any]) -> None:
        self.first = first
        self._make_second = make_second
        self._bar: dict[str, Any] = {}

    @cached_property
    def second(self) -> Any:
        return self._make_second()

    def set_progress_bar_config(self, **kwargs: Any) -> None:
        self._bar = kwargs
        self.first.set_progress_bar_config(**kwargs)

    def __call__(self, *, output_type: str, **kwargs: Any) -> Drawn:
        if output_type != "latent":
            _ = self.second  # what cannot be drawn in the end is not begun
        latents = self.first(**kwargs, output_type="pt").image_embeddings
        if output_type == "latent":
            return Drawn(latents)
        both = {k: kwargs[k] for k in ("generator", "callback_on_step_end") if k in kwargs}
        pooled = kwargs["prompt_embeds_pooled"]
        return self.draw(latents, pooled, output_type=output_type, **both)

    def draw(self, latents: Tensor, pooled: Tensor, **kwargs: Any) -> Drawn:
        """Pictures of latents, under a pooled text [B, 1, D]."""
        second = self.second
        second.set_progress_bar_config(**self._bar)
        like = {"device": second.decoder.device, "dtype": second.decoder.dtype}
        pooled = pooled.to(**like)
        found = second(
            latents.to(**like),
            prompt_embeds=pooled,  # not looked at, but it would encode a text without
            prompt_embeds_pooled=pooled,
            num_inference_steps=DECODER_STEPS,
            guidance_scale=0.0,
            **kwargs,
        )
        return Drawn(found.images)
