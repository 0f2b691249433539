"""Latents as a sequence of 2x2 patches, and the position ids that belong to it."""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor


def pack(latents: Tensor) -> Tensor:
    """[B, C, h, w] -> [B, (h/2)(w/2), 4C], rows first, channels slowest inside a patch."""
    b, c, h, w = latents.shape
    patches = latents.view(b, c, h // 2, 2, w // 2, 2).permute(0, 2, 4, 1, 3, 5)
    return patches.reshape(b, (h // 2) * (w // 2), c * 4)


def unpack(tokens: Tensor, height: int, width: int) -> Tensor:
    """Inverse of `pack` for latents of `height` x `width`."""
    b, _, d = tokens.shape
    patches = tokens.view(b, height // 2, width // 2, d // 4, 2, 2).permute(0, 3, 1, 4, 2, 5)
    return patches.reshape(b, d // 4, height, width)


@lru_cache(maxsize=64)
def image_ids(
    height: int, width: int, device: torch.device, dtype: torch.dtype, picture: int = 0
) -> Tensor:
    """Position ids [S, 3] with rows (picture, y, x) for latents of `height` x `width`."""
    ids = torch.full((height // 2, width // 2, 3), float(picture))
    ids[..., 1] = torch.arange(height // 2)[:, None]
    ids[..., 2] = torch.arange(width // 2)[None, :]
    return ids.view(-1, 3).to(device, dtype)


@lru_cache(maxsize=64)
def text_ids(length: int, device: torch.device, dtype: torch.dtype) -> Tensor:
    return torch.zeros(length, 3, device=device, dtype=dtype)
