"""Stable Diffusion 3.5 medium."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from tests.support.kinds.base import Kind
from tests.support.tiny import clip, clip_tokenizer, t5, t5_tokenizer, vae
from trainer.models.condition import Condition


def build(*, with_t5: bool = True) -> Any:
    """Like 3.5 medium: second attention in the first block, normalised queries and keys."""
    from diffusers import (
        FlowMatchEulerDiscreteScheduler,
        SD3Transformer2DModel,
        StableDiffusion3Pipeline,
    )

    transformer = SD3Transformer2DModel(
        sample_size=32,
        patch_size=2,
        in_channels=16,
        out_channels=16,
        num_layers=2,
        attention_head_dim=8,
        num_attention_heads=4,
        caption_projection_dim=32,
        joint_attention_dim=64,
        pooled_projection_dim=64,
        pos_embed_max_size=32,
        dual_attention_layers=(0,),
        qk_norm="rms_norm",
    )
    quant = {"use_quant_conv": False, "use_post_quant_conv": False}
    return StableDiffusion3Pipeline(
        transformer=transformer,
        scheduler=FlowMatchEulerDiscreteScheduler(shift=3.0),
        vae=vae(16, scaling_factor=1.5305, shift_factor=0.0609, **quant),
        text_encoder=clip(projection=True),
        tokenizer=clip_tokenizer(),
        text_encoder_2=clip(projection=True),
        tokenizer_2=clip_tokenizer(),
        text_encoder_3=t5(64) if with_t5 else None,
        tokenizer_3=t5_tokenizer() if with_t5 else None,
    )


def text(pipe: Any, caption: str) -> Mapping[str, Tensor]:
    embeds, _, pooled, _ = pipe.encode_prompt(
        caption, None, None, do_classifier_free_guidance=False, max_sequence_length=32
    )
    return {"prompt_embeds": embeds[0], "pooled_prompt_embeds": pooled[0]}


def call(module: Any, noisy: Tensor, time: Tensor, told: Condition) -> Tensor:
    return module(
        hidden_states=noisy,
        timestep=time * 1000,
        encoder_hidden_states=told.text["prompt_embeds"],
        pooled_projections=told.text["pooled_prompt_embeds"],
    ).sample


KIND = Kind(
    build=build,
    text=text,
    call=call,
    model={"max_tokens": 32},
    widest="all+ffs",
    comfyui=re.compile(
        r"transformer_blocks\.\d+\.(attn\.(to_[qkv]|add_[qkv]_proj|to_out\.0|to_add_out)"
        r"|attn2\.(to_[qkv]|to_out\.0)|norm1(_context)?\.linear|ff(_context)?\.net\.(0\.proj|2))"
        r"|norm_out\.linear|proj_out|context_embedder"
    ),
)
