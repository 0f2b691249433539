"""Control nets of Stable Diffusion 3: latents of the picture join the noisy ones at the patches.

A published net may have been made to see latents without the autoencoder's shift and zeros in place
of the pooled text (`force_zeros_for_pooled_projection`), and one for 3.5 large sees no text at all.
A new net sees what the transformer sees.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor

from trainer.models import load
from trainer.models.condition import Condition
from trainer.models.controlnet.base import ControlNet
from trainer.models.parts.diffusers_classes import diffusers_class

COPIED = ("pos_embed", "time_text_embed", "context_embedder", "transformer_blocks")


class SD3Control(ControlNet):
    net_class = "SD3ControlNetModel"
    pipeline_class = "StableDiffusion3ControlNetPipeline"
    alike = (
        "in_channels",
        "patch_size",
        "attention_head_dim",
        "num_attention_heads",
        "pooled_projection_dim",
    )

    def blocks(self, base: Any) -> Mapping[str, int]:
        """All but the last, which has no way on for the text."""
        return {"layers": len(base.transformer_blocks) - 1}

    def fresh(self, base: Any, sizes: Mapping[str, int]) -> Any:
        """diffusers writes the net's settings into the configuration that it is given, so it is
        given a copy."""
        settings = dict(base.config) | {"force_zeros_for_pooled_projection": False}
        shown = SimpleNamespace(config=settings, **{name: getattr(base, name) for name in COPIED})
        return diffusers_class(self.net_class).from_transformer(
            shown, num_layers=sizes["layers"], num_extra_conditioning_channels=0
        )

    def residuals(self, told: Mapping[str, Any], condition: Condition) -> dict[str, Any]:
        config, dtype = self.net.config, self.dtype
        pooled = told["pooled_projections"].to(dtype)
        text = told["encoder_hidden_states"].to(dtype)
        values = self.net(
            hidden_states=told["hidden_states"].to(dtype),
            timestep=told["timestep"],
            controlnet_cond=self.picture(condition),
            encoder_hidden_states=None if config.joint_attention_dim is None else text,
            pooled_projections=self._zeroed(pooled),
            return_dict=False,
        )[0]
        return {"block_controlnet_hidden_states": self.added(values)}

    def _zeroed(self, pooled: Tensor) -> Tensor:
        if self.net.config.force_zeros_for_pooled_projection:
            return torch.zeros_like(pooled)
        return pooled

    def picture(self, condition: Condition) -> Tensor:
        latents = super().picture(condition)
        if self.net.config.force_zeros_for_pooled_projection:
            config = self._vae_config
            return latents + (config.get("shift_factor") or 0.0) * config["scaling_factor"]
        return latents

    @property
    def _vae_config(self) -> Mapping[str, Any]:
        return load.vae_config(self.family.source)
