"""DeepFloyd IF, stages I and II (families.md §4.4): diffusion on pixels, with T5 text.

What other families call latents are pixels in -1..1 here. The UNet answers with noise and, in the
second half of its channels, with a variance; only the noise is trained, so sampling uses the
schedule's own variance instead. The text is 77 tokens long, padding included: the encoder hides it
from the caption, the UNet sees what comes out.

Stage II takes 6 channels: the noisy picture and the small one, enlarged to its size. That one is
noised to a level of its own, which the UNet is told: so it learns to mend what stage I got wrong
(conditioning augmentation, 2106.15282). In training the level is drawn for each visit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from trainer.catalog.families.deepfloyd import FACTS
from trainer.errors import ConfigError
from trainer.findings import finding
from trainer.models.base import TextEntry
from trainer.models.condition import Condition
from trainer.models.parts.diffusers_classes import diffusers_class, scheduler
from trainer.models.request import ImageRequest
from trainer.models.unet_discrete import UNetDiscrete
from trainer.objective import ddpm
from trainer.rng import normal, stream_seed, unit


class DeepFloyd(UNetDiscrete):
    facts = FACTS

    @torch.no_grad()
    def encode_text(self, captions: Sequence[str]) -> list[TextEntry]:
        embeds, _ = self._pipeline(text=True).encode_prompt(
            list(captions), do_classifier_free_guidance=False, device=self.device
        )
        return [{"prompt_embeds": row.cpu().clone()} for row in embeds]

    # --- stage II ----------------------------------------------------------------------------

    @property
    def enlarges(self) -> bool:
        """Whether the weights are of stage II."""
        return self.denoiser.config.in_channels == 2 * self.latent_channels

    @cached_property
    def augment_abar(self) -> Tensor:
        """fp32 [T] of the schedule by which the small picture is noised."""
        config = self.source.scheduler_of("image_noising_scheduler")
        return scheduler("DDPMScheduler", config).alphas_cumprod.float().to(self.device)

    def drawn_condition(self, condition: Condition, seeds: Sequence[int]) -> Condition:
        """The small picture as one visit shows it: enlarged, and noised to a drawn level."""
        if not self.enlarges or not condition.references:
            return condition
        picture, options = condition.references[0], self.model.options.deepfloyd.augment
        span = options.high - options.low + 1
        drawn = [int(span * unit(stream_seed(s, 0, 0, "level"))) for s in seeds]
        levels = torch.tensor(drawn).add(options.low).to(self.device, non_blocking=True)
        noise = normal(seeds, picture.shape[1:]).to(self.device, non_blocking=True)
        noised = self._augmented(picture, noise, levels)
        return replace(condition, references=(noised,), reference_levels=levels)

    def _augmented(self, picture: Tensor, noise: Tensor, levels: Tensor) -> Tensor:
        signal, sigma = ddpm.coefficients(self.augment_abar, levels, picture.ndim)
        return ddpm.add_noise(picture, noise, signal, sigma)

    def _small_picture(self, condition: Condition, like: Tensor) -> Tensor:
        if not condition.references:
            raise _nothing_to_enlarge()
        picture = condition.references[0]
        if picture.shape[-2:] == like.shape[-2:]:
            return picture
        return interpolate(picture, like.shape[-2:], mode="bilinear", align_corners=True)

    # -----------------------------------------------------------------------------------------

    def forward(self, noisy: Tensor, time: Tensor, condition: Condition) -> Tensor:
        inputs, extra = noisy, {}
        if self.enlarges:
            inputs = torch.cat([noisy, self._small_picture(condition, noisy)], dim=1)
            levels = condition.reference_levels
            extra["class_labels"] = torch.zeros_like(time) if levels is None else levels
        out = self.call(inputs, time, condition.text["prompt_embeds"], condition, **extra)
        return out[:, : noisy.shape[1]]

    def probe_latents(self) -> tuple[int, int, int]:
        return (self.latent_channels, *super().probe_latents()[1:])

    def probe_references(self) -> tuple[tuple[int, ...], ...]:
        return (self.probe_latents(),) if self.enlarges else ()

    def probe_text(self) -> dict[str, tuple[int, ...]]:
        return {"prompt_embeds": (8, self.denoiser.config.encoder_hid_dim)}

    # --- sampling ----------------------------------------------------------------------------

    def sampling_config(self) -> dict[str, Any]:
        """The variance that the UNet predicts drifts while only its noise is trained."""
        return super().sampling_config() | {"variance_type": "fixed_small"}

    def pipeline(self) -> Any:
        return self._pipeline(text=False)

    def _pipeline(self, *, text: bool) -> Any:
        enlarges = not text and self.enlarges
        name = "IFSuperResolutionPipeline" if enlarges else "IFPipeline"
        parts: dict[str, Any] = {}
        if enlarges:
            config = self.source.scheduler_of("image_noising_scheduler")
            parts["image_noising_scheduler"] = scheduler("DDPMScheduler", config)
        return diffusers_class(name)(
            tokenizer=self.tokenizers["tokenizer"] if text else None,
            text_encoder=self.modules["text_encoder"] if text else None,
            unet=None if text else self.denoiser,
            scheduler=scheduler("DDPMScheduler", self.sampling_config()),
            safety_checker=None,
            feature_extractor=None,
            watermarker=None,
            requires_safety_checker=False,
            **parts,
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
        if request.output_type == "latent":
            kwargs["output_type"] = "pt"  # pixels as they are
        if guided and negative is not None:
            kwargs["negative_prompt_embeds"] = self.batched(negative, "prompt_embeds")
        if self.enlarges:
            if not request.references:
                raise _nothing_to_enlarge()
            kwargs["image"] = request.references[0]
            kwargs["noise_level"] = self.model.options.deepfloyd.augment.validation
        return kwargs


def _nothing_to_enlarge() -> ConfigError:
    return ConfigError(
        finding(
            "CFG223",
            "the weights are of stage II, which enlarges a picture, and there is none",
            where="data.datasets",
            why="each sample needs a partner that shows it in low resolution",
            fix='add conditioning = [{generate = "low_resolution", options = '
            "{downscale_factor = 4, blur_radius = 0, noise_level = 0}}] to the dataset",
        )
    )
