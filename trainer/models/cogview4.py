"""CogView4 (families.md §11): a flow transformer with text of GLM-4 at its own length.

What the transformer hears as time is not the noise level: sampling walks evenly through times and
shifts only the noise, by resolution. So the time of a sigma is found by undoing that shift.

Text is encoded one by one, filled up in front to a multiple of 16 and attended to whole, as the
pipeline does it. Texts of different lengths in one batch get padding behind, which is hidden.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from trainer.catalog.families.cogview4 import FACTS
from trainer.models.base import Family, TextEntry
from trainer.models.components import Which
from trainer.models.condition import Condition
from trainer.models.parts.diffusers_classes import diffusers_class, scheduler
from trainer.models.parts.masked_attention import hide_text_padding
from trainer.models.request import ImageRequest

TIMESTEPS = 1000  # what the time of pure noise is called by the transformer


class CogView4(Family):
    facts = FACTS

    @cached_property
    def _rotations(self) -> dict[tuple[Any, ...], tuple[Tensor, Tensor]]:
        return {}

    @property
    def max_tokens(self) -> int:
        return self.model.max_tokens or 1024

    @property
    def traits(self) -> tuple[Any, ...]:
        return (self.max_tokens,)

    def load(self, which: Which) -> None:
        loaded = "denoiser" in self.modules
        super().load(which)
        if which == "denoiser" and not loaded:
            hide_text_padding(self.denoiser)

    @property
    def shift_rule(self) -> Callable[[int], float]:
        """How the checkpoint's sampler shifts noise at a number of image tokens."""
        config = self.scheduler_config

        def factor(tokens: int) -> float:
            if not config.get("use_dynamic_shifting"):
                return config.get("shift", 1.0)
            side = math.sqrt(tokens / config.get("base_image_seq_len", 256))
            mu = side * config.get("max_shift", 0.75) + config.get("base_shift", 0.25)
            return mu if config.get("time_shift_type") == "linear" else math.exp(mu)

        return factor

    @torch.no_grad()
    def encode_text(self, captions: Sequence[str]) -> list[TextEntry]:
        pipeline = self._pipeline(text=True)
        entries = []
        for caption in captions:  # together they would be filled up to the longest
            embeds, _ = pipeline.encode_prompt(
                caption,
                do_classifier_free_guidance=False,
                device=self.device,
                max_sequence_length=self.max_tokens,
            )
            entries.append({"prompt_embeds": embeds[0].cpu().clone()})
        return entries

    def collate_text(self, items: Sequence[Mapping[str, Tensor]]) -> TextEntry:
        batch = super().collate_text(items)
        lengths = torch.tensor([len(item["prompt_embeds"]) for item in items])
        longest = batch["prompt_embeds"].shape[1]
        if min(lengths.tolist()) < longest:
            batch["mask"] = torch.arange(longest)[None] < lengths[:, None]
        return batch

    def forward(self, noisy: Tensor, time: Tensor, condition: Condition) -> Tensor:
        dtype, mask = self.denoiser_dtype, condition.text.get("mask")
        sizes = condition.sizes.float()
        return self.denoiser(
            hidden_states=noisy.to(dtype),
            encoder_hidden_states=condition.text["prompt_embeds"].to(dtype),
            timestep=self._even_time(time, noisy) * TIMESTEPS,
            original_size=sizes[:, :2],
            crop_coords=sizes[:, 2:4],
            target_size=sizes[:, 4:6],
            attention_kwargs=None if mask is None else {"text_attn_mask": mask.to(torch.int32)},
            image_rotary_emb=self._rotation(noisy),
            return_dict=False,
        )[0]

    def _rotation(self, noisy: Tensor) -> tuple[Tensor, Tensor]:
        """Rotary embeddings [tokens, D] of a size: made once, and there where they are used."""
        place = (*noisy.shape[-2:], noisy.device)
        if place not in self._rotations:
            with torch.device(noisy.device):
                self._rotations[place] = self.denoiser.rope(noisy)
        return self._rotations[place]

    def _even_time(self, sigma: Tensor, noisy: Tensor) -> Tensor:
        """The time [B] at which sampling has this noise level: the inverse of the shift."""
        patch = self.denoiser.config.patch_size
        tokens = (noisy.shape[-2] // patch) * (noisy.shape[-1] // patch)
        factor = self.shift_rule(tokens)
        return sigma / (factor - (factor - 1.0) * sigma)

    def probe_latents(self) -> tuple[int, int, int]:
        config = self.denoiser.config
        return (config.in_channels, 4 * config.patch_size, 4 * config.patch_size)

    def probe_text(self) -> dict[str, tuple[int, ...]]:
        return {"prompt_embeds": (16, self.denoiser.config.text_embed_dim)}

    def pipeline(self) -> Any:
        return self._pipeline(text=False)

    def _pipeline(self, *, text: bool) -> Any:
        return diffusers_class("CogView4Pipeline")(
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
        kwargs = self.request_kwargs(request) | {
            "prompt_embeds": self.batched(text, "prompt_embeds"),
            "guidance_scale": request.guidance if guided else 1.0,
        }
        if guided and negative is not None:
            kwargs["negative_prompt_embeds"] = self.batched(negative, "prompt_embeds")
        return kwargs
