"""Kandinsky 5 Image Lite, from text."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from tests.support.kinds.base import Kind
from tests.support.tiny import clip, clip_tokenizer, vae
from tests.support.tiny_qwen import bare, qwen_tokenizer, qwen_vl
from trainer.models.condition import Condition


def build(**config: Any) -> Any:
    from diffusers import (
        FlowMatchEulerDiscreteScheduler,
        Kandinsky5T2IPipeline,
        Kandinsky5Transformer3DModel,
    )

    options: dict[str, Any] = {"visual_cond": False} | config
    transformer = Kandinsky5Transformer3DModel(
        in_visual_dim=16,
        in_text_dim=16,
        in_text_dim2=32,
        time_dim=16,
        out_visual_dim=16,
        patch_size=(1, 2, 2),
        model_dim=32,
        ff_dim=64,
        num_text_blocks=1,
        num_visual_blocks=2,
        axes_dims=(4, 6, 6),
        **options,
    )
    for name, parameter in transformer.named_parameters():
        if "modulation" in name:  # gates of zero would hide what an adapter does
            parameter.data.normal_(0.0, 0.1)
    quant = {"use_quant_conv": False, "use_post_quant_conv": False}
    return Kandinsky5T2IPipeline(
        transformer=transformer,
        vae=vae(16, levels=4, scaling_factor=0.3611, shift_factor=0.1159, **quant),
        text_encoder=qwen_vl(),
        tokenizer=qwen_tokenizer(bare(Kandinsky5T2IPipeline).prompt_template),
        text_encoder_2=clip(),
        tokenizer_2=clip_tokenizer(),
        scheduler=FlowMatchEulerDiscreteScheduler(shift=5.0),
    )


def text(pipe: Any, caption: str) -> Mapping[str, Tensor]:
    embeds, pooled, _ = pipe.encode_prompt(caption, max_sequence_length=48)
    return {"prompt_embeds": embeds[0], "pooled_prompt_embeds": pooled[0]}


def call(module: Any, noisy: Tensor, time: Tensor, told: Condition) -> Tensor:
    """Each sample alone: the pipeline draws one caption at a time."""
    _, _, h, w = noisy.shape
    latents = noisy.permute(0, 2, 3, 1).unsqueeze(1)
    rows = []
    for n in range(len(noisy)):
        row = slice(n, n + 1)
        own = f"prompt_embeds.{n}"
        embeds = told.text[own] if own in told.text else told.text["prompt_embeds"][row]
        rows.append(
            module(
                hidden_states=latents[row],
                encoder_hidden_states=embeds,
                pooled_projections=told.text["pooled_prompt_embeds"][row],
                timestep=time[row] * 1000,
                visual_rope_pos=[torch.arange(1), torch.arange(h // 2), torch.arange(w // 2)],
                text_rope_pos=torch.arange(embeds.shape[1]),
                scale_factor=[1.0, 1.0, 1.0],
                sparse_params=None,
            ).sample
        )
    return torch.cat(rows)[:, 0].permute(0, 3, 1, 2)


def raw(vae: Any, latents: Tensor) -> Tensor:
    """Scaled and not shifted, as the pipeline does before it decodes."""
    return latents / vae.config.scaling_factor


def unpacked(latents: Tensor, pipe: Any, pixels: int) -> Tensor:
    return latents[:, 0].permute(0, 3, 1, 2)


KIND = Kind(
    build=build,
    text=text,
    call=call,
    raw=raw,
    unpacked=unpacked,
    model={"max_tokens": 48},
    factor=8,
    widest="all+ffs",
    # ComfyUI keeps the original names for this model, which are those of diffusers too.
    comfyui=re.compile(
        r"(text|visual)_transformer_blocks\.\d+\.((self|cross)_attention\."
        r"(to_(query|key|value)|out_layer)|feed_forward\.(in|out)_layer)"
    ),
)
