"""Stable Diffusion 3 and 3.5 (families.md §4.7): MMDiT over plain latents, three text encoders.

The two CLIP texts stand beside each other on the feature axis, padded with zeros to the width of
the T5 text that follows them on the token axis. A checkpoint saved without its T5 has zeros there,
as in the diffusers pipeline. The transformer cuts latents into patches itself and hears the time
as sigma times 1000.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor

from trainer.catalog.families.sd3 import FACTS
from trainer.models import load
from trainer.models.base import Family, TextEntry
from trainer.models.condition import Condition
from trainer.models.controlnet.sd3 import SD3Control
from trainer.models.parts.diffusers_classes import diffusers_class, scheduler
from trainer.models.request import ImageRequest

TIMESTEPS = 1000  # what sigma = 1 is called by the transformer


@dataclass(frozen=True, slots=True)
class ConfigOnly:
    """A transformer that can be asked about and nothing else."""

    config: Any


class SD3(Family):
    facts = FACTS
    control_class = SD3Control

    @property
    def max_tokens(self) -> int:
        return self.model.max_tokens or 256

    @property
    def traits(self) -> tuple[Any, ...]:
        return (self.max_tokens,)

    @torch.no_grad()
    def encode_text(self, captions: Sequence[str]) -> list[TextEntry]:
        embeds, _, pooled, _ = self._text_pipeline().encode_prompt(
            list(captions),
            prompt_2=None,
            prompt_3=None,
            device=self.device,
            do_classifier_free_guidance=False,
            max_sequence_length=self.max_tokens,
        )
        return [
            {"prompt_embeds": e.cpu().clone(), "pooled_prompt_embeds": p.cpu().clone()}
            for e, p in zip(embeds, pooled, strict=True)
        ]

    def forward(self, noisy: Tensor, time: Tensor, condition: Condition) -> Tensor:
        dtype = self.denoiser_dtype
        told: dict[str, Any] = {
            "hidden_states": noisy.to(dtype),
            "timestep": time * TIMESTEPS,
            "encoder_hidden_states": condition.text["prompt_embeds"].to(dtype),
            "pooled_projections": condition.text["pooled_prompt_embeds"].to(dtype),
        }
        return self.denoiser(**self.with_control(told, condition), return_dict=False)[0]

    def probe_latents(self) -> tuple[int, int, int]:
        config = self.denoiser.config
        return (config.in_channels, 2 * config.patch_size, 2 * config.patch_size)

    def probe_text(self) -> dict[str, tuple[int, ...]]:
        config = self.denoiser.config
        return {
            "prompt_embeds": (8, config.joint_attention_dim),
            "pooled_prompt_embeds": (config.pooled_projection_dim,),
        }

    def _text_pipeline(self) -> Any:
        """The pipeline's own text encoding. It asks a transformer for the width of the zeros that
        stand for a T5 that is not there, so without a T5 it is shown the configuration of one."""
        parts: dict[str, Any] = {}
        for fact in self.facts.text_encoders:
            parts[fact.slot] = self.modules.get(fact.slot)
            parts[fact.tokenizer_slot] = self.tokenizers.get(fact.tokenizer_slot)
        if parts["text_encoder_3"] is None:
            config = SimpleNamespace(**load.denoiser_config(self.source))
            parts["transformer"] = ConfigOnly(config)
        return self._assemble(parts)

    def pipeline(self) -> Any:
        return self._assemble({"transformer": self.denoiser, "vae": self.modules.get("vae")})

    def _assemble(self, parts: Mapping[str, Any]) -> Any:
        slots = [slot for f in self.facts.text_encoders for slot in (f.slot, f.tokenizer_slot)]
        return diffusers_class("StableDiffusion3Pipeline")(
            **(dict.fromkeys(("transformer", "vae", *slots)) | dict(parts)),
            scheduler=scheduler("FlowMatchEulerDiscreteScheduler", self.scheduler_config),
        )

    def pipeline_kwargs(
        self, text: TextEntry, negative: TextEntry | None, request: ImageRequest
    ) -> dict[str, Any]:
        # guidance needs both passes; without a negative text it would encode one, with no encoder
        guided = request.guidance > 1 and negative is not None
        kwargs = self.request_kwargs(request) | {
            "prompt_embeds": self.batched(text, "prompt_embeds"),
            "pooled_prompt_embeds": self.batched(text, "pooled_prompt_embeds"),
            "guidance_scale": request.guidance if guided else 1.0,
        }
        if guided and negative is not None:
            kwargs["negative_prompt_embeds"] = self.batched(negative, "prompt_embeds")
            kwargs["negative_pooled_prompt_embeds"] = self.batched(negative, "pooled_prompt_embeds")
        return kwargs
