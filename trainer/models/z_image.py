"""Z-Image (families.md §4.17): one stream of image and text tokens, text by Qwen3.

The transformer takes lists: one picture [C, 1, h, w] and one text [L, D] per sample, and fills
each up to a multiple of 32 tokens with learned ones. It hears 1 - sigma and answers with
clean minus noise, so its output is turned round. Entries hold the real tokens alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import ceil
from typing import Any

import torch
from torch import Tensor

from trainer.catalog.families.z_image import FACTS
from trainer.models.base import Family, TextEntry
from trainer.models.condition import Condition
from trainer.models.parts.diffusers_classes import diffusers_class, scheduler
from trainer.models.parts.lengths import lengths_of, with_lengths
from trainer.models.parts.room import demand_room
from trainer.models.request import ImageRequest

FILLED_TO = 32  # tokens: the transformer pads texts and pictures to multiples of it


class ZImage(Family):
    facts = FACTS

    @property
    def max_tokens(self) -> int:
        return self.model.max_tokens or 512

    @property
    def traits(self) -> tuple[Any, ...]:
        return (self.max_tokens,)

    @torch.no_grad()
    def encode_text(self, captions: Sequence[str]) -> list[TextEntry]:
        embeds, _ = self._pipeline(text=True).encode_prompt(
            list(captions),
            device=self.device,
            do_classifier_free_guidance=False,
            max_sequence_length=self.max_tokens,
        )
        return [{"prompt_embeds": row.cpu().clone()} for row in embeds]

    def collate_text(self, items: Sequence[Mapping[str, Tensor]]) -> TextEntry:
        return with_lengths(super().collate_text(items), items)

    def forward(self, noisy: Tensor, time: Tensor, condition: Condition) -> Tensor:
        embeds = condition.text["prompt_embeds"].to(self.denoiser_dtype)
        lengths = lengths_of(condition.text)
        self._demand_room(max(lengths), *noisy.shape[-2:])
        out = self.denoiser(
            list(noisy.to(self.denoiser_dtype)[:, :, None]),
            1 - time,
            [row[:length] for row, length in zip(embeds, lengths, strict=True)],
            return_dict=False,
        )[0]
        return -torch.stack(out)[:, :, 0]

    def _demand_room(self, text: int, height: int, width: int) -> None:
        """Filled up, the text counts from 1; the picture stands right behind it."""
        filled = ceil(text / FILLED_TO) * FILLED_TO
        demand_room(self.denoiser.config.axes_lens, (filled + 2, height // 2, width // 2))

    def probe_latents(self) -> tuple[int, int, int]:
        return (self.denoiser.config.in_channels, 4, 4)

    def probe_text(self) -> dict[str, tuple[int, ...]]:
        return {"prompt_embeds": (8, self.denoiser.config.cap_feat_dim)}

    def pipeline(self) -> Any:
        return self._pipeline(text=False)

    def _pipeline(self, *, text: bool) -> Any:
        return diffusers_class("ZImagePipeline")(
            scheduler=scheduler("FlowMatchEulerDiscreteScheduler", self.scheduler_config),
            vae=None if text else self.modules.get("vae"),
            text_encoder=self.modules["text_encoder"] if text else None,
            tokenizer=self.tokenizers["tokenizer"] if text else None,
            transformer=None if text else self.denoiser,
        )

    def pipeline_kwargs(
        self, text: TextEntry, negative: TextEntry | None, request: ImageRequest
    ) -> dict[str, Any]:
        # This pipeline adds `guidance` times the difference to the guided pass itself, so any
        # number above 0 guides. Here, as everywhere, 1 and less mean no guidance.
        guided = request.guidance > 1 and negative is not None
        kwargs = self.request_kwargs(request) | {
            "prompt_embeds": [self._text(text)],
            "guidance_scale": request.guidance if guided else 0.0,
        }
        if guided and negative is not None:
            kwargs["negative_prompt_embeds"] = [self._text(negative)]
        return kwargs

    def _text(self, entry: TextEntry) -> Tensor:
        return entry["prompt_embeds"].to(self.device, self.denoiser_dtype)
