"""Lumina-Image 2 (families.md §4.13): one stream of text and image tokens, text by Gemma 2.

A system prompt stands before captions. The transformer hears 1 - sigma and answers with clean
minus noise, so its output is turned round. It places each picture right behind its text, by
lengths that it would read from the mask on the device; they are handed to it on the host instead.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from trainer.catalog.families.lumina2 import FACTS
from trainer.models.base import Family, TextEntry
from trainer.models.condition import Condition
from trainer.models.parts.diffusers_classes import diffusers_class, scheduler
from trainer.models.parts.lengths import lengths_of, with_lengths
from trainer.models.parts.room import demand_room
from trainer.models.parts.wording import encode_by_wording, real_tokens
from trainer.models.request import ImageRequest


class Lumina2(Family):
    facts = FACTS

    @property
    def max_tokens(self) -> int:
        return self.model.max_tokens or 256

    @property
    def traits(self) -> tuple[Any, ...]:
        return (self.max_tokens, self.model.options.lumina2.system_prompt)

    def encode_text(self, captions: Sequence[str]) -> list[TextEntry]:
        return encode_by_wording(captions, self._encode_captions, self.encode_negative)

    @torch.no_grad()
    def _encode_captions(self, captions: Sequence[str]) -> list[TextEntry]:
        embeds, masks, _, _ = self._pipeline(text=True).encode_prompt(
            list(captions),
            do_classifier_free_guidance=False,
            device=self.device,
            system_prompt=self.model.options.lumina2.system_prompt,
            max_sequence_length=self.max_tokens,
        )
        return real_tokens(embeds, masks)

    def encodes_apart(self, negative: str) -> bool:
        return bool(negative.strip())

    @torch.no_grad()
    def encode_negative(self, texts: Sequence[str]) -> list[TextEntry]:
        nothing = torch.zeros(len(texts), 1, 1, device=self.device)  # in the place of captions
        _, _, embeds, masks = self._pipeline(text=True).encode_prompt(
            None,
            negative_prompt=list(texts),
            device=self.device,
            prompt_embeds=nothing,
            prompt_attention_mask=nothing[..., 0],
            max_sequence_length=self.max_tokens,
        )
        return real_tokens(embeds, masks)

    def collate_text(self, items: Sequence[Mapping[str, Tensor]]) -> TextEntry:
        return with_lengths(super().collate_text(items), items)

    def forward(self, noisy: Tensor, time: Tensor, condition: Condition) -> Tensor:
        embeds = condition.text["prompt_embeds"].to(self.denoiser_dtype)
        lengths, mask = lengths_of(condition.text), condition.text.get("mask")
        height, width = noisy.shape[-2:]
        demand_room(self.denoiser.config.axes_lens, (max(lengths) + 1, height // 2, width // 2))
        with known_lengths(self.denoiser.rope_embedder, lengths):
            out = self.denoiser(
                hidden_states=noisy.to(self.denoiser_dtype),
                timestep=1 - time,
                encoder_hidden_states=embeds,
                encoder_attention_mask=embeds.new_ones(embeds.shape[:2]).int()
                if mask is None
                else mask.int(),
                return_dict=False,
            )[0]
        return -out

    def probe_latents(self) -> tuple[int, int, int]:
        return (self.denoiser.config.in_channels, 4, 4)

    def probe_text(self) -> dict[str, tuple[int, ...]]:
        return {"prompt_embeds": (8, self.denoiser.config.cap_feat_dim)}

    def pipeline(self) -> Any:
        return self._pipeline(text=False)

    def _pipeline(self, *, text: bool) -> Any:
        return diffusers_class("Lumina2Pipeline")(
            transformer=None if text else self.denoiser,
            scheduler=scheduler("FlowMatchEulerDiscreteScheduler", self.scheduler_config),
            vae=None if text else self.modules.get("vae"),
            text_encoder=self.modules["text_encoder"] if text else None,
            tokenizer=self.tokenizers["tokenizer"] if text else None,
        )

    def pipeline_kwargs(
        self, text: TextEntry, negative: TextEntry | None, request: ImageRequest
    ) -> dict[str, Any]:
        guided = request.guidance > 1 and negative is not None
        both = self.collate_text([text, negative] if guided and negative else [text])
        # The pipeline draws in the precision of the text, which must be one the transformer takes.
        embeds = both["prompt_embeds"].to(self.device, self.denoiser_dtype)
        mask = both["mask"].to(self.device).int()
        kwargs = self.request_kwargs(request) | {
            "prompt_embeds": embeds[:1],
            "prompt_attention_mask": mask[:1],
            "guidance_scale": request.guidance if guided else 1.0,
        }
        if guided:
            kwargs["negative_prompt_embeds"] = embeds[1:]
            kwargs["negative_prompt_attention_mask"] = mask[1:]
        return kwargs


@contextmanager
def known_lengths(rope: Any, lengths: Sequence[int]) -> Iterator[None]:
    """Within the block the transformer's position embedder counts tokens on a mask of the host,
    and has its tables on the device already."""
    counts = torch.tensor(list(lengths))

    def on_host(module: Any, args: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        latents, mask = args
        away = module.freqs_cis[0].device != latents.device
        if away and latents.device.type != "mps":  # there it looks them up on the host
            module.freqs_cis = [table.to(latents.device) for table in module.freqs_cis]
        return latents, (torch.arange(mask.shape[1]) < counts[:, None]).int()

    hook = rope.register_forward_pre_hook(on_host)
    try:
        yield
    finally:
        hook.remove()
