"""Flux.1 dev; `guidance_embeds=False` is Schnell."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from typing import Any

import torch
from torch import Tensor

from tests.support.kinds.base import Kind
from tests.support.tiny import clip, clip_tokenizer, t5, t5_tokenizer, vae
from trainer.models.condition import Condition


def build(*, guidance_embeds: bool = True) -> Any:
    from diffusers import FlowMatchEulerDiscreteScheduler, FluxPipeline, FluxTransformer2DModel

    transformer = FluxTransformer2DModel(
        patch_size=1,
        in_channels=64,
        num_layers=1,
        num_single_layers=1,
        attention_head_dim=16,
        num_attention_heads=2,
        joint_attention_dim=32,
        pooled_projection_dim=32,
        axes_dims_rope=(4, 4, 8),
        guidance_embeds=guidance_embeds,
    )
    quant = {"use_quant_conv": False, "use_post_quant_conv": False}
    return FluxPipeline(
        scheduler=FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=True),
        vae=vae(16, scaling_factor=0.3611, shift_factor=0.1159, **quant),
        text_encoder=clip(),
        tokenizer=clip_tokenizer(),
        text_encoder_2=t5(),
        tokenizer_2=t5_tokenizer(),
        transformer=transformer,
    )


def text(pipe: Any, caption: str) -> Mapping[str, Tensor]:
    embeds, pooled, _ = pipe.encode_prompt(caption, None, max_sequence_length=32)
    return {"prompt_embeds": embeds[0], "pooled_prompt_embeds": pooled[0]}


@cache
def image_ids(h: int, w: int) -> Tensor:
    from diffusers import FluxPipeline

    return FluxPipeline._prepare_latent_image_ids(1, h // 2, w // 2, "cpu", torch.float32)


def call(module: Any, noisy: Tensor, time: Tensor, told: Condition) -> Tensor:
    from diffusers import FluxPipeline

    b, c, h, w = noisy.shape
    out = module(
        hidden_states=FluxPipeline._pack_latents(noisy, b, c, h, w),
        timestep=time,
        guidance=torch.ones(b) if module.config.guidance_embeds else None,
        pooled_projections=told.text["pooled_prompt_embeds"],
        encoder_hidden_states=told.text["prompt_embeds"],
        txt_ids=torch.zeros(told.text["prompt_embeds"].shape[1], 3),
        img_ids=image_ids(h, w),
    ).sample
    return FluxPipeline._unpack_latents(out, h * 8, w * 8, 8)


def unpacked(latents: Tensor, pipe: Any, pixels: int) -> Tensor:
    return pipe._unpack_latents(latents, pixels, pixels, pipe.vae_scale_factor)


KIND = Kind(
    build=build,
    text=text,
    call=call,
    unpacked=unpacked,
    model={"max_tokens": 32},
    widest="ai-toolkit",
    absent_presets=("tiny", "nano"),  # single blocks 7 and 20
    comfyui=re.compile(
        r"transformer_blocks\.\d+\.(attn\.(to_[qkv]|add_[qkv]_proj|to_out\.0|to_add_out)"
        r"|norm1(_context)?\.linear|ff(_context)?\.net\.(0\.proj|2))"
        r"|single_transformer_blocks\.\d+\.(attn\.to_[qkv]|proj_mlp|proj_out|norm\.linear)"
        r"|proj_out|x_embedder|context_embedder"
    ),
)
