"""LongCat-Image (families.md §4.18): a Flux-like packed transformer with text of Qwen2.5-VL.

What stands in quotation marks in a caption is read letter by letter. The text always has 512
tokens; those behind a short caption take part in attention, as in the original training. Positions
run on from the text to the picture, which stands on a diagonal behind it.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from trainer.catalog.families.longcat_image import FACTS
from trainer.models.base import ImageRequest, TextEntry
from trainer.models.condition import Condition
from trainer.models.packed_flow import PackedFlow
from trainer.models.parts.diffusers_classes import refined, scheduler
from trainer.models.parts.packing import image_ids, pack, unpack


class LongCatImage(PackedFlow):
    facts = FACTS

    @torch.no_grad()
    def encode_text(self, captions: Sequence[str]) -> list[TextEntry]:
        embeds, _ = self._pipeline(text=True).encode_prompt(list(captions))
        return [{"prompt_embeds": row.clone()} for row in embeds.cpu()]

    def forward(self, noisy: Tensor, time: Tensor, condition: Condition) -> Tensor:
        _, _, height, width = noisy.shape
        dtype = self.denoiser_dtype
        embeds = condition.text["prompt_embeds"].to(dtype)
        text, image = positions(embeds.shape[1], height, width, noisy.device)
        out = self.denoiser(
            hidden_states=pack(noisy.to(dtype)),
            encoder_hidden_states=embeds,
            timestep=time,
            txt_ids=text,
            img_ids=image,
            return_dict=False,
        )[0]
        return unpack(out, height, width)

    def probe_text(self) -> dict[str, tuple[int, ...]]:
        return {"prompt_embeds": (8, self.denoiser.config.joint_attention_dim)}

    def pipeline(self) -> Any:
        return self._pipeline(text=False)

    def _pipeline(self, *, text: bool) -> Any:
        return refined("LongCatImagePipeline", TextGiven)(
            scheduler=scheduler("FlowMatchEulerDiscreteScheduler", self.scheduler_config),
            vae=None if text else self.modules.get("vae"),
            text_encoder=self.modules["text_encoder"] if text else None,
            tokenizer=self.tokenizers["tokenizer"] if text else None,
            text_processor=None,  # it rewrites prompts, which is turned off
            transformer=None if text else self.denoiser,
        )

    def pipeline_kwargs(
        self, text: TextEntry, negative: TextEntry | None, request: ImageRequest
    ) -> dict[str, Any]:
        guided = request.guidance > 1 and negative is not None
        kwargs = self.request_kwargs(request) | {
            "prompt_embeds": self.batched(text, "prompt_embeds"),
            "guidance_scale": request.guidance if guided else 1.0,
            "enable_prompt_rewrite": False,
        }
        if guided and negative is not None:
            kwargs["negative_prompt_embeds"] = self.batched(negative, "prompt_embeds")
        return kwargs


class TextGiven:
    """In front of the pipeline: text that is encoded already has no prompt to count."""

    def encode_prompt(
        self, prompt: Any = None, num_images_per_prompt: int = 1, prompt_embeds: Any = None
    ) -> tuple[Tensor, Tensor]:
        if prompt_embeds is not None:
            prompt = [""] * len(prompt_embeds)
        whole: Any = super()
        return whole.encode_prompt(prompt, num_images_per_prompt, prompt_embeds)


@lru_cache(maxsize=64)
def positions(
    text_tokens: int, height: int, width: int, device: torch.device
) -> tuple[Tensor, Tensor]:
    """Ids of text [L, 3] and picture [S, 3], in fp32: bf16 does not tell 512 from 513."""
    along = torch.arange(text_tokens, dtype=torch.float32, device=device)
    text = torch.stack([torch.zeros_like(along), along, along], 1)
    behind = torch.tensor([1.0, text_tokens, text_tokens], device=device)
    return text, image_ids(height, width, device, torch.float32) + behind
