"""Stable Diffusion 1.x (families.md §4.1)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from trainer.catalog.families.sd1x import FACTS
from trainer.models.base import TextEntry
from trainer.models.condition import Condition
from trainer.models.controlnet.unet import UNetControl
from trainer.models.parts.diffusers_classes import diffusers_class, scheduler
from trainer.models.request import ImageRequest
from trainer.models.unet_discrete import UNetDiscrete


class SD1X(UNetDiscrete):
    facts = FACTS
    control_class = UNetControl

    @torch.no_grad()
    def encode_text(self, captions: Sequence[str]) -> list[TextEntry]:
        embeds, _ = self._pipeline(text=True).encode_prompt(
            list(captions),
            device=self.device,
            num_images_per_prompt=1,
            do_classifier_free_guidance=False,
        )
        return [{"prompt_embeds": row.cpu().clone()} for row in embeds]

    def forward(self, noisy: Tensor, time: Tensor, condition: Condition) -> Tensor:
        return self.call(noisy, time, condition.text["prompt_embeds"], condition)

    def pipeline(self) -> Any:
        return self._pipeline(text=False)

    def _pipeline(self, *, text: bool) -> Any:
        return diffusers_class("StableDiffusionPipeline")(
            vae=None if text else self.modules.get("vae"),
            text_encoder=self.modules["text_encoder"] if text else None,
            tokenizer=self.tokenizers["tokenizer"] if text else None,
            unet=None if text else self.denoiser,
            scheduler=scheduler("DDIMScheduler", self.sampling_config()),
            safety_checker=None,
            feature_extractor=None,
            requires_safety_checker=False,
        )

    def pipeline_kwargs(
        self, text: TextEntry, negative: TextEntry | None, request: ImageRequest
    ) -> dict[str, Any]:
        kwargs = self.request_kwargs(request) | {
            "prompt_embeds": self.batched(text, "prompt_embeds"),
            "guidance_scale": request.guidance,
        }
        if request.guidance > 1 and negative is not None:
            kwargs["negative_prompt_embeds"] = self.batched(negative, "prompt_embeds")
        return kwargs
