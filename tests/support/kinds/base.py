"""What the family test suite asks of a kind of model: one record per file of this folder.

Everything here is written as a careful reader of diffusers' own scripts would write it, without
the product's code, so that the suite compares the two.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from torch import Tensor

from trainer.models.condition import Condition

# What ComfyUI maps by diffusers names in UNets (comfy/utils.py: unet_to_diffusers).
_INNER = (
    r"attentions\.\d+\.(proj_in|proj_out|transformer_blocks\.\d+\."
    r"(attn[12]\.(to_q|to_k|to_v|to_out\.0)|ff\.net\.(0\.proj|2)))"
    r"|resnets\.\d+\.(conv1|conv2|time_emb_proj|conv_shortcut)"
)
UNET_NAMES = re.compile(
    rf"(mid_block\.({_INNER})"
    rf"|(down|up)_blocks\.\d+\.({_INNER}|(down|up)samplers\.0\.conv))"
)


def as_they_are(latents: Tensor, pipe: Any, pixels: int) -> Tensor:
    return latents


def own_name(module: str) -> str:
    return module


def as_added(tensors: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    return tensors


def scaled(vae: Any, latents: Tensor) -> Tensor:
    """What the autoencoder decodes, from normalised latents."""
    return latents / vae.config.scaling_factor + (vae.config.shift_factor or 0.0)


# denoiser, clean latents, noise, times, condition -> one training loss
Script = Callable[[Any, Tensor, Tensor, Tensor, Condition], Tensor]


@dataclass(frozen=True, kw_only=True)
class Kind:
    build: Callable[..., Any]  # a tiny pipeline of the family's class, with random weights
    text: Callable[[Any, str], Mapping[str, Tensor]]  # pipeline, caption -> one cache entry
    call: Callable[[Any, Tensor, Tensor, Condition], Tensor]  # denoiser -> canonical prediction
    widest: str  # the target preset with most modules
    comfyui: re.Pattern[str] | None  # module names that ComfyUI maps; None: it loads no such model
    comfyui_name: Callable[[str], str] = own_name  # what it calls a module
    unfused: Callable[[Mapping[str, Tensor]], Mapping[str, Tensor]] = as_added  # its layers as ours
    raw: Callable[[Any, Tensor], Tensor] = scaled
    unpacked: Callable[[Tensor, Any, int], Tensor] = as_they_are  # latents that a pipeline returns
    model: Mapping[str, Any] = field(default_factory=dict)  # options of [model] for tiny weights
    loading: Mapping[str, Any] = field(default_factory=dict)  # arguments of from_pretrained
    absent_presets: tuple[str, ...] = ()  # they name blocks that the tiny model lacks
    factor: int | Fraction = 2  # pixels along one side of a latent pixel of the tiny model
    side: int = 16  # latent pixels along the pictures of the suite
    encoder: str | None = "vae/*.safetensors"  # what makes latents; None: pixels are latents
    decodes: bool = True  # and makes pictures of them again
    script: Script | None = None  # the loss of its training script, where it is one of its own
    sign_steps: int = 300  # until one latent is overfitted
