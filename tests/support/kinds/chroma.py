"""Chroma 1."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from tests.support.kinds.base import Kind
from tests.support.kinds.flux import image_ids, unpacked
from tests.support.tiny import t5, t5_tokenizer, vae
from trainer.models.condition import Condition


def build() -> Any:
    from diffusers import (
        ChromaPipeline,
        ChromaTransformer2DModel,
        FlowMatchEulerDiscreteScheduler,
    )

    transformer = ChromaTransformer2DModel(
        patch_size=1,
        in_channels=64,
        num_layers=1,
        num_single_layers=1,
        attention_head_dim=16,
        num_attention_heads=4,  # with fewer it learns the one latent of the sign test too slowly
        joint_attention_dim=32,
        axes_dims_rope=(4, 4, 8),
        approximator_num_channels=16,
        approximator_hidden_dim=32,
        approximator_layers=1,
    )
    quant = {"use_quant_conv": False, "use_post_quant_conv": False}
    return ChromaPipeline(
        scheduler=FlowMatchEulerDiscreteScheduler(),
        vae=vae(16, scaling_factor=0.3611, shift_factor=0.1159, **quant),
        text_encoder=t5(),
        tokenizer=t5_tokenizer(),
        transformer=transformer,
    )


def text(pipe: Any, caption: str) -> Mapping[str, Tensor]:
    """The text and one token of padding; what is hidden is not kept."""
    embeds, _, mask, *_ = pipe.encode_prompt(
        caption, do_classifier_free_guidance=False, max_sequence_length=32
    )
    real = len(pipe.tokenizer(caption).input_ids)
    assert 0 < real < 31
    assert int(mask.sum()) == real + 1
    return {"prompt_embeds": embeds[0, : real + 1], "mask": mask[0, : real + 1].bool()}


def call(module: Any, noisy: Tensor, time: Tensor, told: Condition) -> Tensor:
    from diffusers import ChromaPipeline

    b, c, h, w = noisy.shape
    packed = ChromaPipeline._pack_latents(noisy, b, c, h, w)
    mask = None
    if "mask" in told.text:
        mask = torch.cat([told.text["mask"], torch.ones(b, packed.shape[1], dtype=torch.bool)], 1)
    out = module(
        hidden_states=packed,
        encoder_hidden_states=told.text["prompt_embeds"],
        timestep=time,
        img_ids=image_ids(h, w),
        txt_ids=torch.zeros(told.text["prompt_embeds"].shape[1], 3),
        attention_mask=mask,
    ).sample
    return ChromaPipeline._unpack_latents(out, h * 8, w * 8, 8)


KIND = Kind(
    build=build,
    text=text,
    call=call,
    unpacked=unpacked,
    model={"max_tokens": 32},
    widest="all+ffs+embedder",
    comfyui=re.compile(
        r"transformer_blocks\.\d+\.(attn\.(to_[qkv]|add_[qkv]_proj|to_out\.0|to_add_out)"
        r"|ff(_context)?\.net\.(0\.proj|2))"
        r"|single_transformer_blocks\.\d+\.(attn\.to_[qkv]|proj_mlp|proj_out)"
        r"|proj_out|x_embedder|context_embedder"
    ),
)
