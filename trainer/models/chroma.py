"""Chroma 1 (families.md §4.10): Flux pruned of its modulation layers, with T5 text alone.

Text padding is hidden from attention but for one token behind the text, in training and in
sampling. The mask has to be boolean: the transformer hands it to attention as it is, and a float
mask would be added to the scores and hide nothing (the pipeline's own is one). Entries keep only
what is visible; the padding that a batch adds is hidden again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from trainer.catalog.families.chroma import FACTS
from trainer.models.base import TextEntry
from trainer.models.condition import Condition
from trainer.models.packed_flow import PackedFlow
from trainer.models.parts.diffusers_classes import diffusers_class, scheduler
from trainer.models.parts.packing import image_ids, pack, text_ids, unpack
from trainer.models.request import ImageRequest


class Chroma(PackedFlow):
    facts = FACTS
    _mask: Tensor | None = None  # of the forward pass that is under way

    @property
    def max_tokens(self) -> int:
        return self.model.max_tokens or 512

    @property
    def traits(self) -> tuple[Any, ...]:
        return (self.max_tokens,)

    @torch.no_grad()
    def encode_text(self, captions: Sequence[str]) -> list[TextEntry]:
        embeds, _, masks, *_ = self._pipeline(text=True).encode_prompt(
            list(captions),
            device=self.device,
            do_classifier_free_guidance=False,
            max_sequence_length=self.max_tokens,
        )
        entries = []
        for row, mask in zip(embeds.cpu(), masks.cpu().bool(), strict=True):
            visible = int(mask.sum())
            entries.append({"prompt_embeds": row[:visible].clone(), "mask": mask[:visible].clone()})
        return entries

    def checkpoint_with(self, function: Callable[..., Any]) -> None:
        """diffusers forgets the mask of single-stream blocks here: theirs are three arguments."""

        def masked(block: nn.Module, *args: Any) -> Any:
            return function(block, *args, *((self._mask,) if len(args) == 3 else ()))

        super().checkpoint_with(masked)

    def forward(self, noisy: Tensor, time: Tensor, condition: Condition) -> Tensor:
        height, width = noisy.shape[-2:]
        dtype, device = self.denoiser_dtype, noisy.device
        tokens = pack(noisy.to(dtype))
        embeds = condition.text["prompt_embeds"].to(dtype)
        mask = condition.text.get("mask")
        if mask is not None:
            mask = torch.cat([mask.bool(), mask.new_ones(tokens.shape[:2], dtype=torch.bool)], 1)
        self._mask = mask  # [B, L + S], text first
        out = self.denoiser(
            hidden_states=tokens,
            encoder_hidden_states=embeds,
            timestep=time,
            img_ids=image_ids(height, width, device, dtype),
            txt_ids=text_ids(embeds.shape[1], device, dtype),
            attention_mask=mask,
            return_dict=False,
        )[0]
        return unpack(out, height, width)

    def probe_text(self) -> dict[str, tuple[int, ...]]:
        return {"prompt_embeds": (8, self.denoiser.config.joint_attention_dim)}

    def pipeline(self) -> Any:
        return self._pipeline(text=False)

    def _pipeline(self, *, text: bool) -> Any:
        return diffusers_class("ChromaPipeline")(
            scheduler=scheduler("FlowMatchEulerDiscreteScheduler", self.scheduler_config),
            vae=None if text else self.modules.get("vae"),
            text_encoder=self.modules["text_encoder"] if text else None,
            tokenizer=self.tokenizers["tokenizer"] if text else None,
            transformer=None if text else self.denoiser,
        )

    def pipeline_kwargs(
        self, text: TextEntry, negative: TextEntry | None, request: ImageRequest
    ) -> dict[str, Any]:
        # guidance needs both passes; without a negative text it would encode one, with no encoder
        guided = request.guidance > 1 and negative is not None
        kwargs = self.request_kwargs(request) | {
            "prompt_embeds": self.batched(text, "prompt_embeds"),
            "prompt_attention_mask": self._visible(text),
            "guidance_scale": request.guidance if guided else 1.0,
        }
        if guided and negative is not None:
            kwargs["negative_prompt_embeds"] = self.batched(negative, "prompt_embeds")
            kwargs["negative_prompt_attention_mask"] = self._visible(negative)
        return kwargs

    def _visible(self, entry: TextEntry) -> Tensor:
        return entry["mask"][None].to(self.device, torch.bool)
