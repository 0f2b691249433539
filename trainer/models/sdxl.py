"""Stable Diffusion XL base (families.md §4.2).

Beside the text the UNet is told the original size, the crop offset and the target size of the
picture. Checkpoints that set `force_zeros_for_empty_prompt` know the empty caption as zeros.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from trainer.catalog.families.sdxl import FACTS
from trainer.models.base import ImageRequest, TextEntry
from trainer.models.condition import Condition
from trainer.models.controlnet.unet import SDXLControl
from trainer.models.parts.diffusers_classes import diffusers_class, scheduler
from trainer.models.unet_discrete import UNetDiscrete, zeros_like_entry


class SDXL(UNetDiscrete):
    facts = FACTS
    control_class = SDXLControl

    @property
    def zeros_for_empty(self) -> bool:
        return bool(self.source.pipeline_config.get("force_zeros_for_empty_prompt", True))

    @property
    def traits(self) -> tuple[Any, ...]:
        return (self.zeros_for_empty,)

    @torch.no_grad()
    def encode_text(self, captions: Sequence[str]) -> list[TextEntry]:
        embeds, _, pooled, _ = self._pipeline(text=True).encode_prompt(
            list(captions),
            device=self.device,
            num_images_per_prompt=1,
            do_classifier_free_guidance=False,
        )
        entries = [
            {"prompt_embeds": e.cpu().clone(), "pooled_prompt_embeds": p.cpu().clone()}
            for e, p in zip(embeds, pooled, strict=True)
        ]
        if self.zeros_for_empty:
            entries = [
                e if caption else zeros_like_entry(e)
                for e, caption in zip(entries, captions, strict=True)
            ]
        return entries

    def forward(self, noisy: Tensor, time: Tensor, condition: Condition) -> Tensor:
        added = {
            "text_embeds": condition.text["pooled_prompt_embeds"].to(self.denoiser_dtype),
            "time_ids": condition.sizes.float(),  # bf16 would round sizes above 256
        }
        embeds = condition.text["prompt_embeds"]
        return self.call(noisy, time, embeds, condition, added_cond_kwargs=added)

    def probe_text(self) -> dict[str, tuple[int, ...]]:
        config = self.denoiser.config
        pooled = config.projection_class_embeddings_input_dim - 6 * config.addition_time_embed_dim
        return super().probe_text() | {"pooled_prompt_embeds": (pooled,)}

    def pipeline(self) -> Any:
        return self._pipeline(text=False)

    def _pipeline(self, *, text: bool) -> Any:
        return diffusers_class("StableDiffusionXLPipeline")(
            vae=None if text else self.modules.get("vae"),
            text_encoder=self.modules["text_encoder"] if text else None,
            text_encoder_2=self.modules["text_encoder_2"] if text else None,
            tokenizer=self.tokenizers["tokenizer"] if text else None,
            tokenizer_2=self.tokenizers["tokenizer_2"] if text else None,
            unet=None if text else self.denoiser,
            scheduler=scheduler("EulerDiscreteScheduler", self.sampling_config()),
            force_zeros_for_empty_prompt=self.zeros_for_empty,
            add_watermarker=False,
        )

    def pipeline_kwargs(
        self, text: TextEntry, negative: TextEntry | None, request: ImageRequest
    ) -> dict[str, Any]:
        kwargs = self.request_kwargs(request) | {
            "prompt_embeds": self.batched(text, "prompt_embeds"),
            "pooled_prompt_embeds": self.batched(text, "pooled_prompt_embeds"),
            "guidance_scale": request.guidance,
        }
        if request.guidance > 1 and negative is not None:
            kwargs["negative_prompt_embeds"] = self.batched(negative, "prompt_embeds")
            kwargs["negative_pooled_prompt_embeds"] = self.batched(negative, "pooled_prompt_embeds")
        return kwargs
