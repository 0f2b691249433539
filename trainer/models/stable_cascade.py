"""Stable Cascade, stage C (families.md §4.5): text to the latents of a picture encoder.

Stage C, the `prior` of the pipelines, is what is trained, in continuous time. Its latents are
normalised features of a picture at three quarters of its size; nothing decodes them but another
diffusion model, stage B, with stage A behind it. Those two are loaded when the first validation
picture is drawn.

The checkpoints ask for a dropout of 0.1 inside their blocks. It is left out: it would draw from a
generator that no seed of a sample reaches, and make the base model's own prediction, which priors
and sliders compare with, another one at each call.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from trainer.catalog.families.stable_cascade import DECODER, FACTS
from trainer.errors import ConfigError
from trainer.findings import finding
from trainer.models import load
from trainer.models.base import Family, TextEntry
from trainer.models.components import Which
from trainer.models.condition import Condition
from trainer.models.parts.diffusers_classes import diffusers_class, quiet, scheduler
from trainer.models.parts.efficientnet import STRIDE, load_encoder
from trainer.models.parts.two_stages import Dtyped, TwoStages
from trainer.models.request import ImageRequest
from trainer.models.source import Place

OPTION = "model.options.stable_cascade.decoder"
SCHEDULER = "DDPMWuerstchenScheduler"
DRAWN_BY = {  # parts of the decoder and their classes
    "decoder": "diffusers.StableCascadeUNet",
    "vqgan": "diffusers.pipelines.deprecated.wuerstchen.PaellaVQModel",
}


class StableCascade(Family):
    facts = FACTS

    # --- loading ---------------------------------------------------------------------------

    def load(self, which: Which) -> None:
        super().load(which)
        if which == "denoiser":
            for module in self.denoiser.modules():
                if isinstance(module, nn.Dropout):
                    module.p = 0.0

    def unload(self, which: Which) -> None:
        if which == "vae":
            for slot in DRAWN_BY:
                self.modules.pop(slot, None)
        super().unload(which)

    def files(self, which: Which) -> Iterator[Path]:
        return iter((self.encoder_file,)) if which == "vae" else super().files(which)

    @cached_property
    def spatial_factor(self) -> int | Fraction:
        return self.facts.spatial_factor

    @cached_property
    def latent_channels(self) -> int:
        return self.facts.latent_channels

    @property
    def p2_gamma(self) -> float:
        return self.model.options.stable_cascade.p2_gamma

    def repository_of(self, name: str) -> str:
        """Folder or hub id that has the file or folder `name`: the one configured, that of the
        model where it is there, else the public one."""
        beside = Path(self.source.repository).expanduser()
        chosen = self.model.options.stable_cascade.decoder
        return chosen or (str(beside) if (beside / name).exists() else DECODER)

    @cached_property
    def encoder_file(self) -> Path:
        chosen, name = self.model.components.vae, str(self.facts.vae_file)
        if chosen.path is not None and Path(chosen.path).expanduser().is_file():
            return Path(chosen.path).expanduser()
        where = "model.components.vae.path" if chosen.path is not None else OPTION
        name = f"{chosen.subfolder}/{name}" if chosen.subfolder else name
        place = chosen.path or self.repository_of(name)
        try:
            return self.source.file(name, place, where)
        except ConfigError as error:
            raise ConfigError(
                finding(
                    "CFG231",
                    f"the picture encoder is missing: {error.finding.message}",
                    where=where,
                    why="latents of any other encoder mean nothing to the model",
                    fix=f"set model.components.vae.path to {self.facts.vae_file} of {DECODER}, or "
                    "to its folder",
                )
            ) from error

    def _autoencoder(self) -> nn.Module:
        path = self.encoder_file
        encoder, absent = load.attempt(str(path), OPTION, lambda: load_encoder(path))
        place = Place(path.parent, (path,), single_file=True, where="model.components.vae.path")
        return load.complete(encoder, absent, place).to(self.vae_dtype)

    # --- text and pixels -------------------------------------------------------------------

    @torch.no_grad()
    def encode_text(self, captions: Sequence[str]) -> list[TextEntry]:
        tokenizer: Any = self.tokenizers["tokenizer"]
        encoder: Any = self.modules["text_encoder"]
        tokens = tokenizer(
            list(captions),
            padding="max_length",
            max_length=tokenizer.model_max_length,
            truncation=True,
            return_tensors="pt",
        ).to(self.device)
        out = encoder(tokens.input_ids, tokens.attention_mask, output_hidden_states=True)
        rows = zip(out.hidden_states[-1].cpu(), out.text_embeds.cpu(), strict=True)
        return [
            {"prompt_embeds": words.clone(), "pooled_prompt_embeds": pooled[None].clone()}
            for words, pooled in rows
        ]

    @torch.no_grad()
    def posterior(self, pixels: Tensor) -> tuple[Tensor, Tensor | None]:
        """Features of the picture, made smaller so that each latent sees its 32 pixels."""
        vae: Any = self.modules["vae"]
        sides = [int(side // self.spatial_factor) * STRIDE for side in pixels.shape[-2:]]
        seen = pixels.to(self.device, vae.dtype)
        seen = nn.functional.interpolate(seen, sides, mode="bilinear", antialias=True)
        return vae(seen).float().cpu(), None

    @torch.no_grad()
    def decode(self, latents: Tensor) -> Tensor:
        """What the decoder draws of the latents without a text; not an exact inverse."""
        stages = self.pipeline()
        stages.set_progress_bar_config(disable=True)
        width = stages.second.decoder.config.clip_text_pooled_in_channels
        pooled = latents.new_zeros(len(latents), 1, width)
        generator = torch.Generator().manual_seed(0)
        drawn = stages.draw(latents, pooled, output_type="pt", generator=generator)
        return drawn.images * 2 - 1

    # --- training --------------------------------------------------------------------------

    def forward(self, noisy: Tensor, time: Tensor, condition: Condition) -> Tensor:
        dtype = self.denoiser_dtype
        return self.denoiser(
            sample=noisy.to(dtype),
            timestep_ratio=time.to(dtype),
            clip_text_pooled=condition.text["pooled_prompt_embeds"].to(dtype),
            clip_text=condition.text["prompt_embeds"].to(dtype),
            clip_img=self._picture_told(noisy, condition).to(dtype),
            return_dict=False,
        )[0]

    def _picture_told(self, noisy: Tensor, condition: Condition) -> Tensor:
        """CLIP embeddings [B, 1, D] of the pictures, zeros where none are told."""
        if condition.image_embeds is None:
            return noisy.new_zeros(len(noisy), 1, self.denoiser.config.clip_image_in_channels)
        return condition.image_embeds[:, None]

    @property
    def image_embeds_share(self) -> float:
        return self.model.options.stable_cascade.image_embeds

    def probe_latents(self) -> tuple[int, int, int]:
        return (self.denoiser.config.in_channels, 4, 4)

    def probe_text(self) -> dict[str, tuple[int, ...]]:
        config = self.denoiser.config
        return {
            "prompt_embeds": (8, config.clip_text_in_channels),
            "pooled_prompt_embeds": (1, config.clip_text_pooled_in_channels),
        }

    # --- sampling --------------------------------------------------------------------------

    def pipeline(self) -> TwoStages:
        with quiet():
            prior = diffusers_class("StableCascadePriorPipeline")(
                tokenizer=None,
                text_encoder=Dtyped(self.denoiser_dtype),
                prior=self.denoiser,
                scheduler=scheduler(SCHEDULER, self.scheduler_config),
            )
        return TwoStages(prior, self.decoder_pipeline)

    def decoder_pipeline(self) -> Any:
        """Stages B and A, loaded at their first use; CFG232 when they cannot be had."""
        place = self.repository_of("decoder")
        try:
            for slot, dotted in DRAWN_BY.items():
                if slot not in self.modules:
                    self.modules[slot] = self._frozen(self._drawn_by(slot, dotted, place))
            config = self.source.file("scheduler/scheduler_config.json", place, OPTION)
        except ConfigError as error:
            raise ConfigError(
                finding(
                    "CFG232",
                    f"no pictures can be drawn: {error.finding.message}",
                    where=OPTION,
                    why="what stage C makes are latents, and only its decoder can draw them",
                    fix=f"set {OPTION} to a folder with {DECODER}, or validation.enabled = false",
                    level="warn",
                )
            ) from error
        with quiet():
            return diffusers_class("StableCascadeDecoderPipeline")(
                decoder=self.modules["decoder"],
                vqgan=self.modules["vqgan"],
                tokenizer=None,
                text_encoder=None,
                scheduler=diffusers_class(SCHEDULER).from_pretrained(config.parent),
            )

    def _drawn_by(self, slot: str, dotted: str, place: str) -> nn.Module:
        """It only draws, so half precision will do where it is fast."""
        dtype = torch.bfloat16 if self.device.type == "cuda" else torch.float32
        found = self.source.elsewhere(slot, place, OPTION)
        return load.component(found, dotted, dtype, self.facts.key)

    def pipeline_kwargs(
        self, text: TextEntry, negative: TextEntry | None, request: ImageRequest
    ) -> dict[str, Any]:
        # guidance needs both passes; without a negative text it would encode one, with no encoder
        guided = request.guidance > 1 and negative is not None
        kwargs = self.request_kwargs(request) | {
            "prompt_embeds": self.batched(text, "prompt_embeds"),
            "prompt_embeds_pooled": self.batched(text, "pooled_prompt_embeds"),
            "guidance_scale": request.guidance if guided else 1.0,
        }
        if guided and negative is not None:
            kwargs["negative_prompt_embeds"] = self.batched(negative, "prompt_embeds")
            kwargs["negative_prompt_embeds_pooled"] = self.batched(negative, "pooled_prompt_embeds")
        return kwargs
