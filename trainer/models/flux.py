"""Flux.1 (families.md §4.8): packed flow transformer with CLIP and T5 text.

Checkpoints with a guidance embedding are trained at a constant scalar; those without sample with
real classifier-free guidance. Pictures that a sample is made from follow its tokens, as in Kontext
(§2.3). Padding tokens of the T5 text take part in attention, as in the
original training, unless `model.options.flux.attention_mask` hides them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from trainer.catalog.families.flux import FACTS
from trainer.models.base import TextEntry
from trainer.models.condition import Condition
from trainer.models.controlnet.flux import FluxControl
from trainer.models.packed_flow import PackedFlow
from trainer.models.parts.diffusers_classes import diffusers_class, scheduler
from trainer.models.parts.packing import image_ids, pack, text_ids, unpack
from trainer.models.request import ImageRequest


def picture_ids(pictures: Sequence[Tensor], device: torch.device, dtype: torch.dtype) -> Tensor:
    """Position ids of the noisy picture and of those it is made from, which count from 1."""
    ids = [
        image_ids(*picture.shape[-2:], device, dtype, number)
        for number, picture in enumerate(pictures)
    ]
    return ids[0] if len(ids) == 1 else torch.cat(ids)


class Flux(PackedFlow):
    facts = FACTS
    control_class = FluxControl

    @property
    def max_tokens(self) -> int:
        return self.model.max_tokens or 512

    @property
    def masked(self) -> bool:
        return self.model.options.flux.attention_mask

    @property
    def traits(self) -> tuple[Any, ...]:
        return (self.max_tokens, self.masked)

    @torch.no_grad()
    def encode_text(self, captions: Sequence[str]) -> list[TextEntry]:
        embeds, pooled, _ = self._pipeline(text=True).encode_prompt(
            list(captions),
            prompt_2=None,
            device=self.device,
            max_sequence_length=self.max_tokens,
        )
        entries = [
            {"prompt_embeds": e.cpu().clone(), "pooled_prompt_embeds": p.cpu().clone()}
            for e, p in zip(embeds, pooled, strict=True)
        ]
        if self.masked:
            for entry, mask in zip(entries, self._masks(captions), strict=True):
                entry["mask"] = mask.bool()
        return entries

    def _masks(self, captions: Sequence[str]) -> Tensor:
        return self.tokenizers["tokenizer_2"](
            list(captions),
            padding="max_length",
            max_length=self.max_tokens,
            truncation=True,
            return_tensors="pt",
        ).attention_mask

    def forward(self, noisy: Tensor, time: Tensor, condition: Condition) -> Tensor:
        batch, _, height, width = noisy.shape
        dtype, device = self.denoiser_dtype, noisy.device
        pictures = [noisy, *(condition.references if self.control is None else ())]
        tokens = torch.cat([pack(picture.to(dtype)) for picture in pictures], 1)
        embeds = condition.text["prompt_embeds"].to(dtype)
        told: dict[str, Any] = {
            "hidden_states": tokens,
            "encoder_hidden_states": embeds,
            "pooled_projections": condition.text["pooled_prompt_embeds"].to(dtype),
            "timestep": time,
            "img_ids": picture_ids(pictures, device, dtype),
            "txt_ids": text_ids(embeds.shape[1], device, dtype),
            "guidance": self.guidance(batch, device, self.model.options.flux.guidance),
        }
        told = self.with_control(told, condition)
        attention = self.attention(condition.text, tokens.shape[1])
        out = self.denoiser(**told, joint_attention_kwargs=attention, return_dict=False)[0]
        return unpack(out[:, : height * width // 4], height, width)

    def probe_text(self) -> dict[str, tuple[int, ...]]:
        config = self.denoiser.config
        return {
            "prompt_embeds": (8, config.joint_attention_dim),
            "pooled_prompt_embeds": (config.pooled_projection_dim,),
        }

    def pipeline(self) -> Any:
        return self._pipeline(text=False)

    def edit_pipeline(self) -> Any:
        return self._pipeline(text=False, name="FluxKontextPipeline")

    def _pipeline(self, *, text: bool, name: str = "FluxPipeline") -> Any:
        return diffusers_class(name)(
            scheduler=scheduler("FlowMatchEulerDiscreteScheduler", self.scheduler_config),
            vae=None if text else self.modules.get("vae"),
            text_encoder=self.modules["text_encoder"] if text else None,
            tokenizer=self.tokenizers["tokenizer"] if text else None,
            text_encoder_2=self.modules["text_encoder_2"] if text else None,
            tokenizer_2=self.tokenizers["tokenizer_2"] if text else None,
            transformer=None if text else self.denoiser,
        )

    def pipeline_kwargs(
        self, text: TextEntry, negative: TextEntry | None, request: ImageRequest
    ) -> dict[str, Any]:
        kwargs = self.request_kwargs(request) | {
            "prompt_embeds": self.batched(text, "prompt_embeds"),
            "pooled_prompt_embeds": self.batched(text, "pooled_prompt_embeds"),
            "guidance_scale": request.guidance,
        }
        if not self.denoiser.config.guidance_embeds and request.guidance > 1 and negative:
            kwargs |= {
                "true_cfg_scale": request.guidance,
                "negative_prompt_embeds": self.batched(negative, "prompt_embeds"),
                "negative_pooled_prompt_embeds": self.batched(negative, "pooled_prompt_embeds"),
            }
        if request.pictures:
            kwargs["image"] = request.pictures[0]
            kwargs |= {"_auto_resize": False, "max_area": request.width * request.height}
        if "mask" in text:
            mask = text["mask"]
            if "true_cfg_scale" in kwargs and negative is not None:
                mask = mask | negative["mask"]  # the pipeline has one mask for both passes
            sizes = [(request.width, request.height), *(p.size for p in request.pictures)]
            tokens = sum(self.image_tokens(height, width) for width, height in sizes)
            kwargs["joint_attention_kwargs"] = self.attention(
                {"mask": mask[None].to(self.device)}, tokens
            )
        return kwargs
