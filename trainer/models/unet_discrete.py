"""Sub-bases of the families with a discrete noise schedule and 4-D latents as they are."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from trainer.catalog.facts import Prediction
from trainer.models.base import Family
from trainer.models.condition import Condition
from trainer.models.parts.cutting import beginning, cut
from trainer.models.parts.diffusers_classes import scheduler
from trainer.models.request import ImageRequest
from trainer.models.stretch import WHOLE
from trainer.objective.ddpm import zero_terminal_snr


class Discrete(Family):
    """Schedule and prediction type as the checkpoint's scheduler says, unless configured."""

    @property
    def prediction(self) -> Prediction:
        chosen = self.model.prediction_type or self.scheduler_config.get("prediction_type")
        return Prediction(chosen or Prediction.EPSILON)  # as diffusers reads a file without it

    @property
    def alphas_cumprod(self) -> Tensor:
        """fp32 [T] of the checkpoint's own schedule."""
        abar = scheduler("DDPMScheduler", self.scheduler_config).alphas_cumprod.float()
        already = self.scheduler_config.get("rescale_betas_zero_snr", False)
        return zero_terminal_snr(abar) if self.model.zero_terminal_snr and not already else abar

    def sampling_config(self) -> dict[str, Any]:
        """Scheduler configuration for sampling, with the training's own choices applied."""
        config = dict(self.scheduler_config)
        config["prediction_type"] = str(self.prediction)
        if self.model.zero_terminal_snr:
            config |= {"rescale_betas_zero_snr": True, "timestep_spacing": "trailing"}
        return config

    def sampler(self, name: str) -> Any:
        """A scheduler of class `name` with the steps of the model's own stretch."""
        made = scheduler(name, self.sampling_config())
        return made if self.stretch == WHOLE else cut(made, self.stretch)

    def first_latents(self, sampler: Any, request: ImageRequest) -> Tensor:
        """What the model begins from, for pipelines that would not make it themselves."""
        if request.handed is not None:
            return request.handed
        factor = self.spatial_factor
        shape = (1, self.latent_channels, request.height // factor, request.width // factor)
        like = torch.empty(shape, device=self.device, dtype=self.dtype)
        return beginning(sampler, request.steps, like, request.generator, picture=request.picture)


class UNetDiscrete(Discrete):
    """Families whose denoiser is diffusers' UNet2DConditionModel."""

    def call(
        self, noisy: Tensor, time: Tensor, text: Tensor, condition: Condition, **extra: Any
    ) -> Tensor:
        """The prediction; `extra` is what the UNet, and a control net, are told beside."""
        told = {
            "sample": noisy.to(self.denoiser_dtype),
            "timestep": time,
            "encoder_hidden_states": text.to(self.denoiser_dtype),
            **extra,
        }
        return self.denoiser(**self.with_control(told, condition), return_dict=False)[0]

    def probe_latents(self) -> tuple[int, int, int]:
        levels = len(self.denoiser.config.block_out_channels)
        return (self.denoiser.config.in_channels, 2**levels, 2**levels)

    def probe_text(self) -> dict[str, tuple[int, ...]]:
        return {"prompt_embeds": (8, self.denoiser.config.cross_attention_dim)}


def zeros_like_entry(entry: dict[str, Tensor]) -> dict[str, Tensor]:
    return {key: torch.zeros_like(value) for key, value in entry.items()}
