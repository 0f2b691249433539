"""Qwen-Image."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from tests.support.kinds.base import Kind
from tests.support.tiny_qwen import bare, qwen_tokenizer, qwen_vl
from trainer.models.condition import Condition


def build(**config: Any) -> Any:
    from diffusers import (
        AutoencoderKLQwenImage,
        FlowMatchEulerDiscreteScheduler,
        QwenImagePipeline,
        QwenImageTransformer2DModel,
    )

    transformer = QwenImageTransformer2DModel(
        patch_size=2,
        in_channels=64,
        out_channels=16,
        num_layers=2,
        attention_head_dim=16,
        num_attention_heads=3,
        joint_attention_dim=16,
        axes_dims_rope=(8, 4, 4),
        **config,
    )
    return QwenImagePipeline(
        scheduler=FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=True),
        vae=AutoencoderKLQwenImage(
            base_dim=8,
            z_dim=16,
            num_res_blocks=1,
            dim_mult=[1, 2, 4],
            temperal_downsample=[False, True],
        ),
        text_encoder=qwen_vl(),
        tokenizer=qwen_tokenizer(bare(QwenImagePipeline).prompt_template_encode),
        transformer=transformer,
    )


def text(pipe: Any, caption: str) -> Mapping[str, Tensor]:
    embeds, mask = pipe.encode_prompt(caption, max_sequence_length=64)
    assert mask is None  # nothing is padded beside a single caption
    return {"prompt_embeds": embeds[0]}


def call(module: Any, noisy: Tensor, time: Tensor, told: Condition) -> Tensor:
    from diffusers import QwenImagePipeline

    b, c, h, w = noisy.shape
    out = module(
        hidden_states=QwenImagePipeline._pack_latents(noisy, b, c, h, w),
        encoder_hidden_states=told.text["prompt_embeds"],
        encoder_hidden_states_mask=told.text.get("mask"),
        timestep=time,
        img_shapes=[[(1, h // 2, w // 2)]] * b,
    ).sample
    return QwenImagePipeline._unpack_latents(out, h * 8, w * 8, 8)[:, :, 0]


def raw(vae: Any, latents: Tensor) -> Tensor:
    """As the pipeline makes them before it decodes: a frame axis, then deviation and mean."""
    mean = torch.tensor(vae.config.latents_mean).view(1, -1, 1, 1, 1)
    std = torch.tensor(vae.config.latents_std).view(1, -1, 1, 1, 1)
    return latents[:, :, None] * std + mean


def unpacked(latents: Tensor, pipe: Any, pixels: int) -> Tensor:
    return pipe._unpack_latents(latents, pixels, pixels, pipe.vae_scale_factor)[:, :, 0]


KIND = Kind(
    build=build,
    text=text,
    call=call,
    raw=raw,
    unpacked=unpacked,
    model={"max_tokens": 64},
    factor=4,
    widest="all+ffs+modulation",
    # ComfyUI keeps the names of diffusers for this model (comfy/ldm/qwen_image/model.py).
    comfyui=re.compile(
        r"transformer_blocks\.\d+\.(attn\.(to_[qkv]|add_[qkv]_proj|to_out\.0|to_add_out)"
        r"|(img|txt)_mod\.1|(img|txt)_mlp\.net\.(0\.proj|2))"
    ),
)
