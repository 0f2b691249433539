"""Sana (families.md §4.12): linear attention over strongly compressed latents, text by Gemma 2.

The autoencoder gives one latent, not a distribution, and reduces pictures 32 times. An
instruction to a language model stands before captions; of what the encoder makes of both, the
first token and the last ones are kept. Latents are scaled by the autoencoder's own factor and by
nothing else, as the pipeline decodes them.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from trainer.catalog.families.sana import FACTS
from trainer.models.base import Family, TextEntry
from trainer.models.condition import Condition
from trainer.models.parts.diffusers_classes import diffusers_class, scheduler
from trainer.models.parts.wording import encode_by_wording, real_tokens
from trainer.models.request import ImageRequest

TIMESTEPS = 1000  # what sigma = 1 is called by the scheduler


class Sana(Family):
    facts = FACTS

    @property
    def max_tokens(self) -> int:
        return self.model.max_tokens or 300

    @property
    def traits(self) -> tuple[Any, ...]:
        return (self.max_tokens, self.model.options.sana.instruction)

    # --- text --------------------------------------------------------------------------------

    def encode_text(self, captions: Sequence[str]) -> list[TextEntry]:
        return encode_by_wording(captions, self._encode_captions, self.encode_negative)

    def _encode_captions(self, captions: Sequence[str]) -> list[TextEntry]:
        return self._encode(captions, self._instruction())

    def encodes_apart(self, negative: str) -> bool:
        return bool(negative.strip())

    def encode_negative(self, texts: Sequence[str]) -> list[TextEntry]:
        return self._encode(texts, None)

    @torch.no_grad()
    def _encode(self, texts: Sequence[str], instruction: list[str] | None) -> list[TextEntry]:
        embeds, masks, _, _ = self._pipeline(text=True).encode_prompt(
            list(texts),
            do_classifier_free_guidance=False,
            device=self.device,
            max_sequence_length=self.max_tokens,
            complex_human_instruction=instruction,
        )
        return real_tokens(embeds, masks)

    def _instruction(self) -> list[str] | None:
        """As configured; else what the pipeline itself puts before prompts."""
        chosen = self.model.options.sana.instruction
        if chosen is not None:
            return [chosen] if chosen else None
        call = inspect.signature(diffusers_class("SanaPipeline").__call__)
        return call.parameters["complex_human_instruction"].default

    # --- pixels ------------------------------------------------------------------------------

    @torch.no_grad()
    def posterior(self, pixels: Tensor) -> tuple[Tensor, Tensor | None]:
        vae: Any = self.modules["vae"]
        latent = vae.encode(pixels.to(self.device, vae.dtype)).latent
        return latent.float().cpu() * vae.config.scaling_factor, None

    @torch.no_grad()
    def decode(self, latents: Tensor) -> Tensor:
        vae: Any = self.modules["vae"]
        raw = (latents / vae.config.scaling_factor).to(self.device, vae.dtype)
        return vae.decode(raw, return_dict=False)[0]

    # --- training and sampling -----------------------------------------------------------------

    def forward(self, noisy: Tensor, time: Tensor, condition: Condition) -> Tensor:
        return self.denoiser(
            noisy.to(self.denoiser_dtype),
            encoder_hidden_states=condition.text["prompt_embeds"].to(self.denoiser_dtype),
            encoder_attention_mask=condition.text.get("mask"),
            timestep=time * (TIMESTEPS * self.denoiser.config.timestep_scale),
            return_dict=False,
        )[0]

    def probe_latents(self) -> tuple[int, int, int]:
        config = self.denoiser.config
        return (config.in_channels, 4 * config.patch_size, 4 * config.patch_size)

    def probe_text(self) -> dict[str, tuple[int, ...]]:
        return {"prompt_embeds": (8, self.denoiser.config.caption_channels)}

    def pipeline(self) -> Any:
        return self._pipeline(text=False)

    def _pipeline(self, *, text: bool) -> Any:
        solver = self.scheduler_config.get("_class_name", "DPMSolverMultistepScheduler")
        return diffusers_class("SanaPipeline")(
            tokenizer=self.tokenizers["tokenizer"] if text else None,
            text_encoder=self.modules["text_encoder"] if text else None,
            vae=None if text else self.modules.get("vae"),
            transformer=None if text else self.denoiser,
            scheduler=scheduler(solver, self.scheduler_config),
        )

    def pipeline_kwargs(
        self, text: TextEntry, negative: TextEntry | None, request: ImageRequest
    ) -> dict[str, Any]:
        guided = request.guidance > 1 and negative is not None
        both = self.collate_text([text, negative] if guided and negative else [text])
        embeds = both["prompt_embeds"].to(self.device, self.dtype)
        mask = both["mask"].to(self.device)
        kwargs = self.request_kwargs(request) | {
            "prompt_embeds": embeds[:1],
            "prompt_attention_mask": mask[:1],
            "negative_prompt": None,
            "guidance_scale": request.guidance if guided else 1.0,
            "use_resolution_binning": False,  # it would draw another size and crop
        }
        if guided:
            kwargs["negative_prompt_embeds"] = embeds[1:]
            kwargs["negative_prompt_attention_mask"] = mask[1:]
        return kwargs
