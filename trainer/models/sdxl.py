"""Stable Diffusion XL, base and refiner (families.md §4.2).

Beside the text the UNet is told the original size, the crop offset and the target size of the
picture; the refiner hears of an aesthetic score in place of the target size, and reads the second
text encoder alone. Checkpoints that set `force_zeros_for_empty_prompt` know the empty caption as
zeros.

A dropped caption keeps its sizes: the pipelines tell both passes of guidance the same ones, and
the published trainings never dropped them, so a pass without text but with zero sizes would train
an input that no sampler gives.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from trainer.catalog.families.sdxl import FACTS
from trainer.models.base import TextEntry
from trainer.models.condition import Condition
from trainer.models.controlnet.unet import SDXLControl
from trainer.models.parts.diffusers_classes import diffusers_class
from trainer.models.request import ImageRequest
from trainer.models.stretch import WHOLE
from trainer.models.unet_discrete import UNetDiscrete, zeros_like_entry

SAMPLER = "EulerDiscreteScheduler"


class SDXL(UNetDiscrete):
    facts = FACTS
    empty_is_zeros = True  # of checkpoints that do not say
    control_class = SDXLControl

    @property
    def zeros_for_empty(self) -> bool:
        said = self.source.pipeline_config.get("force_zeros_for_empty_prompt")
        return self.empty_is_zeros if said is None else bool(said)

    @property
    def scored(self) -> bool:
        """Whether the checkpoint is a refiner, told a score of the picture."""
        return bool(self.source.pipeline_config.get("requires_aesthetics_score", False))

    @property
    def score(self) -> float:
        return self.model.options.sdxl.aesthetic_score

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
            "time_ids": self.time_ids(condition.sizes),
        }
        embeds = condition.text["prompt_embeds"]
        return self.call(noisy, time, embeds, condition, added_cond_kwargs=added)

    def time_ids(self, sizes: Tensor) -> Tensor:
        """[B, 6] or, with a score, [B, 5]; fp32, as bf16 would round sizes above 256."""
        told = sizes.float()
        if not self.scored:
            return told
        score = torch.full_like(told[:, :1], self.score)
        return torch.cat([told[:, :4], score], dim=1)

    def probe_text(self) -> dict[str, tuple[int, ...]]:
        config = self.denoiser.config
        told = (5 if self.scored else 6) * config.addition_time_embed_dim
        pooled = config.projection_class_embeddings_input_dim - told
        return super().probe_text() | {"pooled_prompt_embeds": (pooled,)}

    # --- sampling ----------------------------------------------------------------------------

    @property
    def from_latents(self) -> bool:
        """Whether sampling goes through the pipeline that begins from latents: only that one
        knows of scores, and takes up what another expert left."""
        return self.scored or self.stretch != WHOLE

    def pipeline(self) -> Any:
        return self._pipeline(text=False)

    def _pipeline(self, *, text: bool) -> Any:
        parts = {slot: self.modules.get(slot) for slot in ("text_encoder", "text_encoder_2")}
        parts |= {slot: self.tokenizers.get(slot) for slot in ("tokenizer", "tokenizer_2")}
        name, own = "StableDiffusionXLPipeline", {}
        if not text and self.from_latents:
            name = "StableDiffusionXLImg2ImgPipeline"
            own = {"requires_aesthetics_score": self.scored}
        return diffusers_class(name)(
            vae=None if text else self.modules.get("vae"),
            unet=None if text else self.denoiser,
            scheduler=self.sampler(SAMPLER),
            force_zeros_for_empty_prompt=self.zeros_for_empty,
            add_watermarker=False,
            **(parts if text else dict.fromkeys(parts)),
            **own,
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
        if self.from_latents:
            del kwargs["width"], kwargs["height"]  # told by the latents
            latents = self.first_latents(self.sampler(SAMPLER), request)
            kwargs |= {"image": latents, "latents": latents, "strength": 1.0}
            kwargs["aesthetic_score"] = self.score
        return kwargs
