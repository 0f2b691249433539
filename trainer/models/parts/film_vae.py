"""Autoencoders of films that take a single picture, with latents in units of their deviation.

They want a frame axis, of length 1 for a picture; latents outside have none. The configuration
holds the mean and the deviation of each latent channel (Wan, Qwen-Image).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


@torch.no_grad()
def posterior(vae: Any, pixels: Tensor) -> tuple[Tensor, Tensor]:
    """Pixels [B, 3, H, W] to mean and deviation of normalised latents [B, C, h, w], fp32 on CPU."""
    found = vae.encode(pixels[:, :, None].to(vae.dtype)).latent_dist
    mean, deviation = _statistics(vae)
    centre = (found.mean[:, :, 0].float().cpu() - mean) / deviation
    return centre, found.std[:, :, 0].float().cpu() / deviation


@torch.no_grad()
def decode(vae: Any, latents: Tensor) -> Tensor:
    """Inverse: normalised latents [B, C, h, w] to pixels [B, 3, H, W]."""
    mean, deviation = (s.to(latents.device) for s in _statistics(vae))
    raw = latents.float() * deviation + mean
    return vae.decode(raw[:, :, None].to(vae.dtype), return_dict=False)[0][:, :, 0]


def _statistics(vae: Any) -> tuple[Tensor, Tensor]:
    """Mean and deviation of the latent channels, [C, 1, 1]."""
    mean = torch.tensor(vae.config.latents_mean).view(-1, 1, 1)
    return mean, torch.tensor(vae.config.latents_std).view(-1, 1, 1)
