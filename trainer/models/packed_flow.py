"""Sub-base of the flow transformers that see latents as a sequence of 2x2 patches.

Text and image tokens share one sequence in attention, text first. Position ids are built once per
shape; a padding mask, where a family uses one, is boolean: a float mask would be added to the
scores and hide nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from trainer.models.base import Family


class PackedFlow(Family):
    """Latents [B, C, h, w] outside, tokens [B, h/2 * w/2, 4C] inside."""

    def guidance(self, batch: int, device: torch.device, scale: float) -> Tensor | None:
        """Guidance scalar per sample, for checkpoints that take one."""
        if not self.denoiser.config.guidance_embeds:
            return None
        return torch.full((batch,), scale, device=device)

    def attention(self, text: Mapping[str, Tensor], image_tokens: int) -> dict[str, Any] | None:
        """Boolean mask [B, 1, 1, L + S]: text padding hidden, all image tokens visible."""
        if "mask" not in text:
            return None
        mask = text["mask"]
        image = mask.new_ones((mask.shape[0], image_tokens))
        return {"attention_mask": torch.cat([mask, image], 1)[:, None, None, :]}

    def image_tokens(self, height: int, width: int) -> int:
        """Length of the image part for a picture of this size in pixels."""
        vae: Any = self.modules["vae"]
        side = 2 * 2 ** (len(vae.config.block_out_channels) - 1)
        return (height // side) * (width // side)

    def probe_latents(self) -> tuple[int, int, int]:
        return (self.denoiser.config.in_channels // 4, 4, 4)
