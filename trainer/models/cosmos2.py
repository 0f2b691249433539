"""Cosmos-Predict2 Text2Image (families.md §4.21): a transformer for films that draws one frame.

The pipeline speaks of EDM sigmas `s` up to 80 and preconditions input and output. With
`sigma = s / (1 + s)` all of that is plain rectified flow: the transformer is fed
`(1 - sigma) x0 + sigma eps`, hears `sigma`, and answers `eps - x0`. So nothing is translated here
but the frame axis, which cached latents do not have.

Text is zero behind its end and the zeros take part in attention, so entries keep the real tokens
alone and are filled up again when they are used.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from trainer.catalog.families.cosmos2 import FACTS
from trainer.models.base import Family, TextEntry
from trainer.models.components import Which
from trainer.models.condition import Condition
from trainer.models.parts import film_vae
from trainer.models.parts.diffusers_classes import diffusers_class, scheduler
from trainer.models.parts.torchvision_shim import give_resize
from trainer.models.request import ImageRequest


class NoGuardrail:
    """Stands where the pipeline wants a safety checker: it looks at neither text nor picture."""

    def to(self, device: Any) -> None:
        """Nothing to move."""

    def check_text_safety(self, prompt: str) -> bool:
        return True

    def check_video_safety(self, frames: Any) -> Any:
        return frames


class Cosmos2(Family):
    facts = FACTS

    @property
    def max_tokens(self) -> int:
        return self.model.max_tokens or 512

    @property
    def traits(self) -> tuple[Any, ...]:
        return (self.max_tokens,)

    def load(self, which: Which) -> None:
        super().load(which)
        if which == "denoiser":
            give_resize("diffusers.models.transformers.transformer_cosmos")

    @torch.no_grad()
    def encode_text(self, captions: Sequence[str]) -> list[TextEntry]:
        texts = list(captions)
        embeds, _ = self._pipeline(text=True).encode_prompt(
            texts,
            do_classifier_free_guidance=False,
            max_sequence_length=self.max_tokens,
            device=self.device,
        )
        ids = self.tokenizers["tokenizer"](texts, truncation=True, max_length=self.max_tokens)
        return [
            {"prompt_embeds": row[: len(tokens)].clone()}
            for row, tokens in zip(embeds.cpu(), ids.input_ids, strict=True)
        ]

    def collate_text(self, items: Sequence[Mapping[str, Tensor]]) -> TextEntry:
        """Filled up with zeros to the full length, as the model knows its text."""
        rows = [item["prompt_embeds"] for item in items]
        full = rows[0].new_zeros((len(rows), self.max_tokens, rows[0].shape[-1]))
        for target, row in zip(full, rows, strict=True):
            target[: row.shape[0]] = row
        return {"prompt_embeds": full}

    def posterior(self, pixels: Tensor) -> tuple[Tensor, Tensor | None]:
        return film_vae.posterior(self.modules["vae"], pixels.to(self.device))

    def decode(self, latents: Tensor) -> Tensor:
        return film_vae.decode(self.modules["vae"], latents.to(self.device))

    def forward(self, noisy: Tensor, time: Tensor, condition: Condition) -> Tensor:
        dtype = self.denoiser_dtype
        height, width = noisy.shape[-2:]
        return self.denoiser(
            hidden_states=noisy[:, :, None].to(dtype),
            timestep=time.to(dtype),
            encoder_hidden_states=condition.text["prompt_embeds"].to(dtype),
            padding_mask=torch.zeros(1, 1, height, width, device=noisy.device, dtype=dtype),
            return_dict=False,
        )[0][:, :, 0]

    def probe_latents(self) -> tuple[int, int, int]:
        config = self.denoiser.config
        return (config.in_channels, 2 * config.patch_size[1], 2 * config.patch_size[2])

    def probe_text(self) -> dict[str, tuple[int, ...]]:
        return {"prompt_embeds": (8, self.denoiser.config.text_embed_dim)}

    def pipeline(self) -> Any:
        return self._pipeline(text=False)

    def _pipeline(self, *, text: bool) -> Any:
        return diffusers_class("Cosmos2TextToImagePipeline")(
            text_encoder=self.modules["text_encoder"] if text else None,
            tokenizer=self.tokenizers["tokenizer"] if text else None,
            transformer=None if text else self.denoiser,
            vae=None if text else self.modules.get("vae"),
            scheduler=scheduler("FlowMatchEulerDiscreteScheduler", self.scheduler_config),
            safety_checker=NoGuardrail(),
        )

    def pipeline_kwargs(
        self, text: TextEntry, negative: TextEntry | None, request: ImageRequest
    ) -> dict[str, Any]:
        # without a negative text the pipeline would encode one, with no encoder
        guided = request.guidance > 1 and negative is not None
        kwargs = self.request_kwargs(request) | {
            "prompt_embeds": self._full(text),
            "guidance_scale": request.guidance if guided else 1.0,
        }
        if guided and negative is not None:
            kwargs["negative_prompt_embeds"] = self._full(negative)
        return kwargs

    def _full(self, entry: TextEntry) -> Tensor:
        return self.collate_text([entry])["prompt_embeds"].to(self.device, self.dtype)
