"""Qwen-Image (families.md §4.16): packed flow transformer with text of Qwen2.5-VL.

Its autoencoder is one for films that is given a single frame, and its latents are normalised by a
mean and a deviation for each channel. Padding of the text is hidden from attention. Guidance is
real classifier-free guidance.

The edit checkpoints read each caption with the pictures that the sample is made from, and their
denoiser sees those behind the noisy picture. The edit pipelines do not tell the text encoder which
tokens are a picture, so that it counts their places in one row; texts are encoded by the pipelines
here, and so alike.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from PIL.Image import Image
from torch import Tensor

from trainer.catalog.families.qwen_image import FACTS
from trainer.models.base import TextEntry
from trainer.models.condition import Condition
from trainer.models.packed_flow import PackedFlow
from trainer.models.parts.diffusers_classes import diffusers_class, refined, scheduler
from trainer.models.parts.edit_sizes import MILLION, AsGiven, module_of, resized
from trainer.models.parts.packing import pack, unpack
from trainer.models.parts.qwen_processor import QwenProcessor
from trainer.models.parts.qwen_vl import padding_mask, prefix_tokens, real_tokens, shortened
from trainer.models.request import ImageRequest


class QwenImage(PackedFlow):
    facts = FACTS

    @property
    def max_tokens(self) -> int:
        return self.model.max_tokens or 1024

    @property
    def traits(self) -> tuple[Any, ...]:
        edits = self.source.flavour.pipeline_class  # each has a template of its own
        return (self.max_tokens, edits) if edits else (self.max_tokens,)

    # --- text ------------------------------------------------------------------------------

    @torch.no_grad()
    def encode_text(self, captions: Sequence[str]) -> list[TextEntry]:
        pipe = self._pipeline(text=True)
        pipe.prompt_template_encode_start_idx = prefix_tokens(
            pipe.tokenizer, pipe.prompt_template_encode
        )
        embeds, mask = pipe.encode_prompt(
            list(captions), device=self.device, max_sequence_length=self.max_tokens
        )
        return [{"prompt_embeds": row} for row in real_tokens(embeds, mask)]

    @torch.no_grad()
    def encode_seen(
        self, captions: Sequence[str], pictures: Sequence[Sequence[Image]]
    ) -> list[TextEntry]:
        pipe = self._edit_pipeline(text=True)
        pipe.prompt_template_encode_start_idx = prefix_tokens(
            pipe.tokenizer, pipe.prompt_template_encode
        )
        # those that take several pictures are shown them small
        area = getattr(module_of(pipe), "CONDITION_IMAGE_SIZE", MILLION)
        entries: list[TextEntry] = []
        for caption, seen in zip(captions, pictures, strict=True):
            embeds, _ = pipe.encode_prompt(
                shortened(pipe.tokenizer, caption, self.max_tokens),
                image=[resized(pipe, picture, area) for picture in seen],
                device=self.device,
            )
            entries.append({"prompt_embeds": embeds[0].cpu()})
        return entries

    def collate_text(self, items: Sequence[Mapping[str, Tensor]]) -> TextEntry:
        mask = padding_mask(items, "prompt_embeds")
        return super().collate_text(items) | ({} if mask is None else {"mask": mask})

    # --- pixels ----------------------------------------------------------------------------

    def latent_norm(self, vae: Any) -> tuple[Tensor, Tensor]:
        mean, std = torch.tensor(vae.config.latents_mean), torch.tensor(vae.config.latents_std)
        return mean[:, None, None], 1.0 / std[:, None, None]

    @torch.no_grad()
    def posterior(self, pixels: Tensor) -> tuple[Tensor, Tensor | None]:
        vae: Any = self.modules["vae"]
        found = vae.encode(pixels.to(self.device, vae.dtype)[:, :, None]).latent_dist
        shift, scale = self.latent_norm(vae)
        mean, std = found.mean[:, :, 0].float().cpu(), found.std[:, :, 0].float().cpu()
        return (mean - shift) * scale, std * scale

    @torch.no_grad()
    def decode(self, latents: Tensor) -> Tensor:
        vae: Any = self.modules["vae"]
        shift, scale = (part.to(latents.device) for part in self.latent_norm(vae))
        raw = (latents / scale + shift).to(self.device, vae.dtype)
        return vae.decode(raw[:, :, None], return_dict=False)[0][:, :, 0]

    # --- training and sampling -------------------------------------------------------------

    def forward(self, noisy: Tensor, time: Tensor, condition: Condition) -> Tensor:
        batch, _, height, width = noisy.shape
        dtype = self.denoiser_dtype
        pictures = [noisy, *condition.references]
        shapes = [(1, picture.shape[2] // 2, picture.shape[3] // 2) for picture in pictures]
        out = self.denoiser(
            hidden_states=torch.cat([pack(picture.to(dtype)) for picture in pictures], 1),
            encoder_hidden_states=condition.text["prompt_embeds"].to(dtype),
            encoder_hidden_states_mask=condition.text.get("mask"),
            timestep=time,
            img_shapes=[shapes] * batch,
            return_dict=False,
        )[0]
        return unpack(out[:, : height * width // 4], height, width)

    def probe_text(self) -> dict[str, tuple[int, ...]]:
        return {"prompt_embeds": (8, self.denoiser.config.joint_attention_dim)}

    def pipeline(self) -> Any:
        return self._pipeline(text=False)

    def edit_pipeline(self) -> Any:
        return self._edit_pipeline(text=False)

    def _pipeline(self, *, text: bool) -> Any:
        return diffusers_class("QwenImagePipeline")(**self._parts(text=text))

    def _edit_pipeline(self, *, text: bool) -> Any:
        name = self.source.flavour.pipeline_class
        assert name is not None, "the checkpoint draws from text alone"
        processor = None
        if text:
            processor = QwenProcessor(self.tokenizers["tokenizer"], self.picture_processor)
        cls = refined(name.rpartition(".")[2], AsGiven)
        return cls(**self._parts(text=text), processor=processor)

    def _parts(self, *, text: bool) -> dict[str, Any]:
        return {
            "scheduler": scheduler("FlowMatchEulerDiscreteScheduler", self.scheduler_config),
            "vae": None if text else self.modules.get("vae"),
            "text_encoder": self.modules["text_encoder"] if text else None,
            "tokenizer": self.tokenizers["tokenizer"] if text else None,
            "transformer": None if text else self.denoiser,
        }

    def pipeline_kwargs(
        self, text: TextEntry, negative: TextEntry | None, request: ImageRequest
    ) -> dict[str, Any]:
        guided = request.guidance > 1 and negative is not None
        kwargs = self.request_kwargs(request) | {
            "true_cfg_scale": request.guidance if guided else 1.0,
            "max_sequence_length": self.max_tokens,  # else the pipeline cuts the text at 512
        }
        if request.pictures:
            one = self.source.flavour.max_references == 1
            kwargs["image"] = request.pictures[0] if one else list(request.pictures)
        kwargs |= self._given(text, "")
        return kwargs | self._given(negative, "negative_") if guided and negative else kwargs

    def _given(self, entry: TextEntry, prefix: str) -> dict[str, Any]:
        embeds = self.batched(entry, "prompt_embeds")
        mask = torch.ones(embeds.shape[:2], dtype=torch.bool, device=self.device)
        return {f"{prefix}prompt_embeds": embeds, f"{prefix}prompt_embeds_mask": mask}
