"""AuraFlow (families.md §4.11): a flow transformer with Pile-T5 text and learned positions.

There is no text mask: padding is zeros, and the zeros take part in attention, so their number
matters. Entries keep the real tokens alone and are filled up to the full length in every batch;
text has no positions, so on which side the zeros stand is the same. Eight register tokens of the
transformer itself precede the text.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isqrt
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import pad

from trainer.catalog.families.auraflow import FACTS
from trainer.models import load
from trainer.models.base import Family, TextEntry
from trainer.models.condition import Condition
from trainer.models.parts.diffusers_classes import diffusers_class, scheduler
from trainer.models.request import ImageRequest


class AuraFlow(Family):
    facts = FACTS

    @property
    def max_tokens(self) -> int:
        return self.model.max_tokens or 256

    @property
    def traits(self) -> tuple[Any, ...]:
        return (self.max_tokens,)

    @property
    def largest_side(self) -> int:
        """The table is a square of which the middle is taken; beyond it, rows would run on in the
        next ones."""
        config = load.denoiser_config(self.source)
        rows = isqrt(config.get("pos_embed_max_size", 1024))
        return rows * config.get("patch_size", 2) * self.spatial_factor

    @torch.no_grad()
    def encode_text(self, captions: Sequence[str]) -> list[TextEntry]:
        embeds, masks, _, _ = self._pipeline(text=True).encode_prompt(
            list(captions),
            do_classifier_free_guidance=False,
            device=self.device,
            max_sequence_length=self.max_tokens,
        )
        real = masks.view(embeds.shape)[..., 0].bool().cpu()  # the mask comes once per channel
        return [
            {"prompt_embeds": row[mask].clone()}
            for row, mask in zip(embeds.cpu(), real, strict=True)
        ]

    def collate_text(self, items: Sequence[Mapping[str, Tensor]]) -> TextEntry:
        rows = [item["prompt_embeds"] for item in items]
        full = [pad(row, (0, 0, 0, self.max_tokens - len(row))) for row in rows]
        return {"prompt_embeds": torch.stack(full)}

    def forward(self, noisy: Tensor, time: Tensor, condition: Condition) -> Tensor:
        dtype = self.denoiser_dtype
        return self.denoiser(
            noisy.to(dtype),
            encoder_hidden_states=condition.text["prompt_embeds"].to(dtype),
            timestep=time,
            return_dict=False,
        )[0]

    def probe_latents(self) -> tuple[int, int, int]:
        config = self.denoiser.config
        return (config.in_channels, 2 * config.patch_size, 2 * config.patch_size)

    def probe_text(self) -> dict[str, tuple[int, ...]]:
        return {"prompt_embeds": (8, self.denoiser.config.joint_attention_dim)}

    def pipeline(self) -> Any:
        return self._pipeline(text=False)

    def _pipeline(self, *, text: bool) -> Any:
        return diffusers_class("AuraFlowPipeline")(
            tokenizer=self.tokenizers["tokenizer"] if text else None,
            text_encoder=self.modules["text_encoder"] if text else None,
            vae=None if text else self.modules.get("vae"),
            transformer=None if text else self.denoiser,
            scheduler=scheduler("FlowMatchEulerDiscreteScheduler", self.scheduler_config),
        )

    def pipeline_kwargs(
        self, text: TextEntry, negative: TextEntry | None, request: ImageRequest
    ) -> dict[str, Any]:
        # guidance needs both passes; without a negative text it would encode one, with no encoder
        guided = request.guidance > 1 and negative is not None
        both = self.collate_text([text, negative] if guided and negative else [text])
        embeds = both["prompt_embeds"].to(self.device, self.dtype)
        mask = torch.ones(1, embeds.shape[1], device=self.device)  # asked for, and not used
        kwargs = self.request_kwargs(request) | {
            "prompt_embeds": embeds[:1],
            "prompt_attention_mask": mask,
            "guidance_scale": request.guidance if guided else 1.0,
        }
        if guided:
            kwargs["negative_prompt_embeds"] = embeds[1:]
            kwargs["negative_prompt_attention_mask"] = mask
        return kwargs
