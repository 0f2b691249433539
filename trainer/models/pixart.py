"""PixArt Sigma (families.md §4.6): a diffusion transformer over latents, with T5 text.

The denoiser predicts noise and, in the second half of its channels, a variance that no sampler
here uses; that half is dropped. Padding of the text is hidden from attention, so entries keep only
their real tokens. Captions are lowered and stripped as the pipeline does by itself; its further
cleaning of web text (`clean_caption`) is left out on purpose.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from trainer.catalog.families.pixart import FACTS
from trainer.models.base import TextEntry
from trainer.models.condition import Condition
from trainer.models.parts.diffusers_classes import diffusers_class
from trainer.models.request import ImageRequest
from trainer.models.unet_discrete import Discrete

SOLVER = "DPMSolverMultistepScheduler"


class PixArt(Discrete):
    facts = FACTS

    @property
    def max_tokens(self) -> int:
        return self.model.max_tokens or 300

    @property
    def traits(self) -> tuple[Any, ...]:
        return (self.max_tokens,)

    @torch.no_grad()
    def encode_text(self, captions: Sequence[str]) -> list[TextEntry]:
        embeds, masks, _, _ = self._pipeline(text=True).encode_prompt(
            list(captions),
            do_classifier_free_guidance=False,
            device=self.device,
            max_sequence_length=self.max_tokens,
        )
        entries = []
        for row, mask in zip(embeds.cpu(), masks.cpu().bool(), strict=True):
            real = int(mask.sum())
            entries.append({"prompt_embeds": row[:real].clone(), "mask": mask[:real].clone()})
        return entries

    def forward(self, noisy: Tensor, time: Tensor, condition: Condition) -> Tensor:
        out = self.denoiser(
            noisy.to(self.denoiser_dtype),
            encoder_hidden_states=condition.text["prompt_embeds"].to(self.denoiser_dtype),
            encoder_attention_mask=condition.text.get("mask"),
            timestep=time,
            added_cond_kwargs=self._size_conditions(condition.sizes),
            return_dict=False,
        )[0]
        return out[:, : noisy.shape[1]]

    def _size_conditions(self, sizes: Tensor) -> dict[str, Tensor | None]:
        """Target size and its ratio, for checkpoints that are told; those of Sigma are not."""
        if not self.denoiser.use_additional_conditions:
            return {"resolution": None, "aspect_ratio": None}
        target = sizes[:, 4:6].float()  # height, width
        return {"resolution": target, "aspect_ratio": target[:, :1] / target[:, 1:]}

    def probe_latents(self) -> tuple[int, int, int]:
        config = self.denoiser.config
        return (config.in_channels, 4 * config.patch_size, 4 * config.patch_size)

    def probe_text(self) -> dict[str, tuple[int, ...]]:
        config = self.denoiser.config
        return {"prompt_embeds": (8, config.caption_channels or config.cross_attention_dim)}

    def pipeline(self) -> Any:
        return self._pipeline(text=False)

    def _pipeline(self, *, text: bool) -> Any:
        sized = not text and self.denoiser.use_additional_conditions
        # The Sigma pipeline never tells the size; that of Alpha is the same but for this.
        return diffusers_class("PixArtAlphaPipeline" if sized else "PixArtSigmaPipeline")(
            tokenizer=self.tokenizers["tokenizer"] if text else None,
            text_encoder=self.modules["text_encoder"] if text else None,
            vae=None if text else self.modules.get("vae"),
            transformer=None if text else self.denoiser,
            scheduler=self.sampler(SOLVER),
        )

    def sampling_config(self) -> dict[str, Any]:
        """The pipeline drops the variance itself: the solver must not cut channels once more."""
        return super().sampling_config() | {"variance_type": None}

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
            "guidance_scale": request.guidance,
            "use_resolution_binning": False,  # it would draw another size and crop
            "clean_caption": False,
        }
        if request.handed is not None or request.picture is not None:
            # the solver works at unit variance, so the pipeline takes them as they are
            kwargs["latents"] = self.first_latents(self.sampler(SOLVER), request)
        if guided:
            kwargs["negative_prompt_embeds"] = embeds[1:]
            kwargs["negative_prompt_attention_mask"] = mask[1:]
        return kwargs
