"""Kandinsky 5 Image (families.md §4.22): a film transformer on single frames, channels last.

It cross-attends to the text of Qwen2.5-VL and is modulated by that of CLIP. Neither the text
encoder nor the denoiser can be told of padding, so captions of different length in a batch stay
apart and each sample is run with its own. Latents are scaled and not shifted, although the
autoencoder's configuration has a shift.

The models that edit have the picture as further channels beside the noisy one, and one that says
that it is there. Their text encoder sees it behind the caption, at half its size. The reference is
the mean of what the autoencoder says; the pipeline, which has no argument for that, draws it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from PIL.Image import Image
from torch import Tensor

from trainer.catalog.families.kandinsky5_image import FACTS
from trainer.models.base import Family, TextEntry
from trainer.models.condition import Condition
from trainer.models.parts.diffusers_classes import diffusers_class, refined, scheduler
from trainer.models.parts.qwen_processor import QwenProcessor
from trainer.models.parts.qwen_vl import prefix_tokens, shortened
from trainer.models.request import ImageRequest

TIMESTEPS = 1000  # what sigma = 1 is called by the transformer
UNBOUNDED = 1 << 20  # tokens: captions are cut before, the pipeline would cut the picture
UNSCALED = (1.0, 1.0, 1.0)  # of positions, frames first; films have others


class Kandinsky5Image(Family):
    facts = FACTS

    @property
    def max_tokens(self) -> int:
        return self.model.max_tokens or 512

    @property
    def traits(self) -> tuple[Any, ...]:
        return (self.max_tokens,)

    # --- text ------------------------------------------------------------------------------

    @torch.no_grad()
    def encode_text(self, captions: Sequence[str]) -> list[TextEntry]:
        pipe = self._pipeline(text=True)
        pipe.tokenizer.padding_side = "right"  # behind the text, which does not look ahead
        before = prefix_tokens(pipe.tokenizer, pipe.prompt_template)
        pipe.prompt_template_encode_start_idx = before
        entries: list[TextEntry] = []
        for group in self._groups(captions, pipe, before + self.max_tokens):
            embeds, pooled, ends = pipe.encode_prompt(
                group, device=self.device, max_sequence_length=self.max_tokens
            )
            rows = zip(embeds.cpu(), pooled.cpu(), ends.diff().tolist(), strict=True)
            entries += [
                {"prompt_embeds": e[:length].clone(), "pooled_prompt_embeds": p.clone()}
                for e, p, length in rows
            ]
        return entries

    @torch.no_grad()
    def encode_seen(
        self, captions: Sequence[str], pictures: Sequence[Sequence[Image]]
    ) -> list[TextEntry]:
        pipe = self._edit_pipeline(text=True)
        tokenizer = self.tokenizers["tokenizer"]
        # What the pipeline drops is left as it is: 54 tokens, of which the last five are the
        # caption's first. Their states are in those of the tokens behind them.
        entries: list[TextEntry] = []
        for caption, seen in zip(captions, pictures, strict=True):
            embeds, pooled, _ = pipe.encode_prompt(
                shortened(tokenizer, caption, self.max_tokens),
                image=list(seen),
                device=self.device,
                max_sequence_length=UNBOUNDED,
            )
            entries.append(
                {"prompt_embeds": embeds[0].cpu(), "pooled_prompt_embeds": pooled[0].cpu()}
            )
        return entries

    def _groups(self, captions: Sequence[str], pipe: Any, limit: int) -> list[list[str]]:
        """Captions to encode together: beside one that is too long the pipeline would cut all."""
        texts = [pipe.prompt_template.format(caption) for caption in captions]
        fit = all(len(ids) <= limit for ids in pipe.tokenizer(texts).input_ids)
        return [list(captions)] if fit else [[caption] for caption in captions]

    def collate_text(self, items: Sequence[Mapping[str, Tensor]]) -> TextEntry:
        """One stack when all texts are equally long, else `prompt_embeds.N` for each sample."""
        if len({item["prompt_embeds"].shape[0] for item in items}) == 1:
            return super().collate_text(items)
        pooled = torch.stack([item["pooled_prompt_embeds"] for item in items])
        own = {f"prompt_embeds.{n}": item["prompt_embeds"][None] for n, item in enumerate(items)}
        return {"pooled_prompt_embeds": pooled, **own}

    # --- pixels ----------------------------------------------------------------------------

    def latent_norm(self, vae: Any) -> tuple[float, float]:
        return 0.0, vae.config.scaling_factor

    # --- training and sampling -------------------------------------------------------------

    def forward(self, noisy: Tensor, time: Tensor, condition: Condition) -> Tensor:
        text, pooled = condition.text, condition.text["pooled_prompt_embeds"]
        if self.denoiser.config.visual_cond:
            noisy = beside(noisy, condition.references)
        if "prompt_embeds" in text:
            return self._predict(noisy, time, text["prompt_embeds"], pooled)
        rows = [slice(n, n + 1) for n in range(len(noisy))]
        return torch.cat(
            [
                self._predict(noisy[row], time[row], text[f"prompt_embeds.{n}"], pooled[row])
                for n, row in enumerate(rows)
            ]
        )

    def _predict(self, noisy: Tensor, time: Tensor, embeds: Tensor, pooled: Tensor) -> Tensor:
        height, width = noisy.shape[-2:]
        dtype, device = self.denoiser_dtype, noisy.device
        out = self.denoiser(
            hidden_states=noisy.to(dtype).permute(0, 2, 3, 1)[:, None],  # [B, 1, h, w, C]
            encoder_hidden_states=embeds.to(dtype),
            pooled_projections=pooled.to(dtype),
            timestep=time * TIMESTEPS,
            visual_rope_pos=[
                torch.arange(size, device=device) for size in (1, height // 2, width // 2)
            ],
            text_rope_pos=torch.arange(embeds.shape[1], device=device),
            scale_factor=UNSCALED,
            return_dict=False,
        )
        return out[:, 0].permute(0, 3, 1, 2)

    def probe_latents(self) -> tuple[int, int, int]:
        return (self.denoiser.config.in_visual_dim, 4, 4)

    def probe_text(self) -> dict[str, tuple[int, ...]]:
        config = self.denoiser.config
        return {
            "prompt_embeds": (8, config.in_text_dim),
            "pooled_prompt_embeds": (config.in_text_dim2,),
        }

    def pipeline(self) -> Any:
        return self._pipeline(text=False)

    def edit_pipeline(self) -> Any:
        return self._edit_pipeline(text=False)

    def _pipeline(self, *, text: bool) -> Any:
        tokenizer = self.tokenizers["tokenizer"] if text else None
        parts = self._parts(text=text)
        return refined("Kandinsky5T2IPipeline", AnySize)(**parts, tokenizer=tokenizer)

    def _edit_pipeline(self, *, text: bool) -> Any:
        processor = None
        if text:
            processor = QwenProcessor(self.tokenizers["tokenizer"], self.picture_processor)
        parts = self._parts(text=text)
        return refined("Kandinsky5I2IPipeline", AnySize)(**parts, tokenizer=processor)

    def _parts(self, *, text: bool) -> dict[str, Any]:
        return {
            "transformer": None if text else self.denoiser,
            "vae": None if text else self.modules.get("vae"),
            "text_encoder": self.modules["text_encoder"] if text else None,
            "text_encoder_2": self.modules["text_encoder_2"] if text else None,
            "tokenizer_2": self.tokenizers["tokenizer_2"] if text else None,
            "scheduler": scheduler("FlowMatchEulerDiscreteScheduler", self.scheduler_config),
        }

    def pipeline_kwargs(
        self, text: TextEntry, negative: TextEntry | None, request: ImageRequest
    ) -> dict[str, Any]:
        guided = request.guidance > 1 and negative is not None
        kwargs = self.request_kwargs(request) | self._given(text, "")
        kwargs["guidance_scale"] = request.guidance if guided else 1.0
        if request.pictures:
            kwargs["image"] = request.pictures[0]
        return kwargs | self._given(negative, "negative_") if guided and negative else kwargs

    def _given(self, entry: TextEntry, prefix: str) -> dict[str, Any]:
        embeds = self.batched(entry, "prompt_embeds")
        return {
            f"{prefix}prompt_embeds_qwen": embeds,
            f"{prefix}prompt_embeds_clip": self.batched(entry, "pooled_prompt_embeds"),
            f"{prefix}prompt_cu_seqlens": torch.tensor([0, embeds.shape[1]]),
        }


def beside(noisy: Tensor, references: Sequence[Tensor]) -> Tensor:
    """The noisy picture, the one to be edited, and where that is known; [B, 2C + 1, h, w]."""
    picture = references[0].to(noisy.dtype) if references else torch.zeros_like(noisy)
    known = torch.full_like(noisy[:, :1], float(bool(references)))
    return torch.cat([noisy, picture, known], 1)


class AnySize:
    """In front of the pipeline: sizes as asked, and pictures under the name that all have.

    By itself it draws the nearest of seven sizes.
    """

    resolutions: list[tuple[int, int]]

    def __call__(self, **kwargs: Any) -> Any:
        self.resolutions = [(kwargs["width"], kwargs["height"])]
        whole: Any = super()
        return diffusers_class("ImagePipelineOutput")(images=whole.__call__(**kwargs).image)
