"""LongCat-Image."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from typing import Any

from torch import Tensor

from tests.support.kinds.base import Kind
from tests.support.tiny import vae
from tests.support.tiny_qwen import bare, qwen_tokenizer, qwen_vl
from trainer.models.condition import Condition


def build(levels: int = 2) -> Any:
    from diffusers import (
        FlowMatchEulerDiscreteScheduler,
        LongCatImagePipeline,
        LongCatImageTransformer2DModel,
    )

    transformer = LongCatImageTransformer2DModel(
        patch_size=1,
        in_channels=64,
        num_layers=1,
        num_single_layers=1,
        attention_head_dim=16,
        num_attention_heads=2,
        joint_attention_dim=16,
        pooled_projection_dim=16,
        axes_dims_rope=[4, 4, 8],
    )
    template = bare(LongCatImagePipeline)
    quant = {"use_quant_conv": False, "use_post_quant_conv": False}
    return LongCatImagePipeline(
        scheduler=FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=True),
        vae=vae(16, levels=levels, scaling_factor=0.3611, shift_factor=0.1159, **quant),
        text_encoder=qwen_vl(),
        tokenizer=qwen_tokenizer(template.prompt_template_encode_prefix),
        text_processor=None,  # type: ignore[arg-type]
        transformer=transformer,
    )


def text(pipe: Any, caption: str) -> Mapping[str, Tensor]:
    embeds, _ = pipe.encode_prompt(caption)
    assert embeds.shape[1] == 512
    return {"prompt_embeds": embeds[0]}


@cache
def ids(tokens: int, h: int, w: int) -> tuple[Tensor, Tensor]:
    from diffusers.pipelines.longcat_image.pipeline_longcat_image import prepare_pos_ids

    start = (tokens, tokens)
    picture = prepare_pos_ids(1, "image", start=start, height=h // 2, width=w // 2)
    return prepare_pos_ids(0, "text", num_token=tokens), picture


def call(module: Any, noisy: Tensor, time: Tensor, told: Condition) -> Tensor:
    from diffusers import LongCatImagePipeline

    b, c, h, w = noisy.shape
    embeds = told.text["prompt_embeds"]
    txt_ids, img_ids = ids(embeds.shape[1], h, w)
    out = module(
        hidden_states=LongCatImagePipeline._pack_latents(noisy, b, c, h, w),
        timestep=time,
        guidance=None,
        encoder_hidden_states=embeds,
        txt_ids=txt_ids,
        img_ids=img_ids,
    ).sample
    return LongCatImagePipeline._unpack_latents(out, h * 8, w * 8, 8)


def unpacked(latents: Tensor, pipe: Any, pixels: int) -> Tensor:
    return pipe._unpack_latents(latents, pixels, pixels, pipe.vae_scale_factor)


KIND = Kind(
    build=build,
    text=text,
    call=call,
    unpacked=unpacked,
    loading={"text_processor": None},
    widest="all+ffs+norms",
    # In ComfyUI the model is a Flux, with Flux's table of diffusers names.
    comfyui=re.compile(
        r"transformer_blocks\.\d+\.(attn\.(to_[qkv]|add_[qkv]_proj|to_out\.0|to_add_out)"
        r"|norm1(_context)?\.linear|ff(_context)?\.net\.(0\.proj|2))"
        r"|single_transformer_blocks\.\d+\.(attn\.to_[qkv]|proj_mlp|proj_out|norm\.linear)"
        r"|proj_out"
    ),
)
