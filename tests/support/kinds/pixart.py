"""PixArt Sigma."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from tests.support.kinds.base import Kind
from tests.support.tiny import t5, t5_tokenizer, vae
from trainer.models.condition import Condition


def build(**config: Any) -> Any:
    from diffusers import DDIMScheduler, PixArtSigmaPipeline, PixArtTransformer2DModel

    options = {"sample_size": 8, "use_additional_conditions": False} | config
    transformer = PixArtTransformer2DModel(
        num_layers=2,
        patch_size=2,
        attention_head_dim=8,
        num_attention_heads=3,
        caption_channels=32,
        in_channels=4,
        out_channels=8,
        cross_attention_dim=24,
        **options,
    )
    return PixArtSigmaPipeline(
        vae=vae(4, scaling_factor=0.13025),
        text_encoder=t5(),
        tokenizer=t5_tokenizer(),
        transformer=transformer,
        scheduler=DDIMScheduler(beta_start=0.0001, beta_end=0.02, clip_sample=False),
    )


def text(pipe: Any, caption: str) -> Mapping[str, Tensor]:
    """Padding is hidden from the denoiser and not kept."""
    embeds, mask, _, _ = pipe.encode_prompt(caption, False, max_sequence_length=32)
    real = int(mask.sum())
    assert 0 < real < 32
    return {"prompt_embeds": embeds[0, :real], "mask": mask[0, :real].bool()}


def call(module: Any, noisy: Tensor, time: Tensor, told: Condition) -> Tensor:
    out = module(
        noisy,
        encoder_hidden_states=told.text["prompt_embeds"],
        encoder_attention_mask=told.text["mask"].float() if "mask" in told.text else None,
        timestep=time,
        added_cond_kwargs={"resolution": None, "aspect_ratio": None},
    ).sample
    return out.chunk(2, dim=1)[0]


KIND = Kind(
    build=build,
    text=text,
    call=call,
    model={"max_tokens": 32},
    widest="attention+ffs",
    comfyui=re.compile(
        r"transformer_blocks\.\d+\.(attn[12]\.(to_[qkv]|to_out\.0)|ff\.net\.(0\.proj|2))"
    ),
)
