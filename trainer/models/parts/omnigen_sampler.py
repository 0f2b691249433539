"""Draws pictures with OmniGen, called as diffusers' pipelines are.

diffusers' own `OmniGenPipeline` cannot be built without torchvision and takes captions only, while
here there are cached token ids. It also gives all rows of a batch the positions of the first, so
that a negative prompt longer than the prompt is read wrongly; here each prompt goes alone.
"""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor

Predict = Callable[[Tensor, Tensor, Tensor], Tensor]  # latents, time [1], ids [L] -> x0 - eps


class OmniGenSampler:
    """`predict` answers for one prompt; `vae` may be None when only latents are drawn."""

    def __init__(
        self, predict: Predict, scheduler: Any, vae: Any, shape: tuple[int, int], device: Any
    ) -> None:
        self.predict = predict
        self.scheduler = scheduler
        self.vae = vae
        self.channels, self.factor = shape
        self.device = device
        self._bar: dict[str, Any] = {}

    def set_progress_bar_config(self, **options: Any) -> None:
        self._bar = options

    @torch.no_grad()
    def __call__(
        self,
        *,
        input_ids: Tensor,
        width: int,
        height: int,
        num_inference_steps: int,
        generator: torch.Generator,
        negative_input_ids: Tensor | None = None,
        guidance_scale: float = 1.0,
        output_type: str = "pil",
        callback_on_step_end: Callable[..., Any] | None = None,
    ) -> Any:
        """An object with `images`: latents, or what `output_type` says."""
        from tqdm.auto import tqdm

        steps = torch.linspace(1, 0, num_inference_steps + 1)[:-1].tolist()
        self.scheduler.set_timesteps(sigmas=steps, device=self.device)
        latents = self._noise(height, width, generator)
        for number, time in enumerate(tqdm(self.scheduler.timesteps, **self._bar)):
            velocity = self.predict(latents, time[None], input_ids)
            if negative_input_ids is not None:
                away = self.predict(latents, time[None], negative_input_ids)
                velocity = away + guidance_scale * (velocity - away)
            latents = self.scheduler.step(velocity, time, latents, return_dict=False)[0]
            if callback_on_step_end is not None:
                told = callback_on_step_end(self, number, time, {"latents": latents})
                latents = told.get("latents", latents)
        return SimpleNamespace(images=self._finished(latents, output_type))

    def _noise(self, height: int, width: int, generator: torch.Generator) -> Tensor:
        from diffusers.utils.torch_utils import randn_tensor

        shape = (1, self.channels, height // self.factor, width // self.factor)
        return randn_tensor(
            shape, generator=generator, device=torch.device(self.device), dtype=torch.float32
        )

    def _finished(self, latents: Tensor, output_type: str) -> Any:
        from diffusers.image_processor import VaeImageProcessor

        if output_type == "latent":
            return latents
        raw = latents.to(self.vae.dtype) / self.vae.config.scaling_factor
        pixels = self.vae.decode(raw, return_dict=False)[0]
        return VaeImageProcessor().postprocess(pixels, output_type=output_type)
