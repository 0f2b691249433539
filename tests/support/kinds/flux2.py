"""Flux.2 klein; `dev()` is Flux.2 dev."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from tests.support.kinds.base import Kind
from tests.support.tiny_language import mistral3, mistral_tokenizer, qwen3, qwen_tokenizer
from trainer.models.condition import Condition

LAYERS = (1, 2, 3)


def parts(*, guidance_embeds: bool) -> dict[str, Any]:
    from diffusers import (
        AutoencoderKLFlux2,
        FlowMatchEulerDiscreteScheduler,
        Flux2Transformer2DModel,
    )

    vae = AutoencoderKLFlux2(
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
        block_out_channels=(8, 8),
        layers_per_block=1,
        latent_channels=32,
        norm_num_groups=4,
        sample_size=32,
    )
    vae.bn.load_state_dict(
        {"running_mean": torch.randn(128), "running_var": torch.rand(128) + 0.5}, strict=False
    )
    return {
        "scheduler": FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=True),
        "vae": vae,
        "transformer": Flux2Transformer2DModel(
            patch_size=1,
            in_channels=128,
            num_layers=1,
            num_single_layers=1,
            attention_head_dim=16,
            num_attention_heads=8,
            joint_attention_dim=48,
            timestep_guidance_channels=32,
            axes_dims_rope=(4, 4, 4, 4),
            guidance_embeds=guidance_embeds,
        ),
    }


def build(*, is_distilled: bool = False) -> Any:
    from diffusers import Flux2KleinPipeline

    return Flux2KleinPipeline(
        text_encoder=qwen3(),
        tokenizer=qwen_tokenizer(),
        is_distilled=is_distilled,
        **parts(guidance_embeds=False),
    )


def dev() -> Any:
    from diffusers import Flux2Pipeline

    return Flux2Pipeline(
        text_encoder=mistral3(), tokenizer=mistral_tokenizer(), **parts(guidance_embeds=True)
    )


def text(pipe: Any, caption: str) -> Mapping[str, Tensor]:
    embeds, _ = pipe.encode_prompt(caption, max_sequence_length=32, text_encoder_out_layers=LAYERS)
    return {"prompt_embeds": embeds[0]}


def call(module: Any, noisy: Tensor, time: Tensor, told: Condition) -> Tensor:
    from diffusers import Flux2Pipeline

    embeds = told.text["prompt_embeds"]
    out = module(
        hidden_states=Flux2Pipeline._pack_latents(noisy),
        timestep=time,
        guidance=torch.ones(len(noisy)) if module.config.guidance_embeds else None,
        encoder_hidden_states=embeds,
        txt_ids=Flux2Pipeline._prepare_text_ids(embeds),
        img_ids=Flux2Pipeline._prepare_latent_ids(noisy),
    ).sample
    return Flux2Pipeline._unpack_latents_with_ids(out, Flux2Pipeline._prepare_latent_ids(noisy))


def normal(vae: Any) -> tuple[Tensor, Tensor]:
    mean, variance = vae.bn.running_mean, vae.bn.running_var
    width = torch.sqrt(variance + vae.config.batch_norm_eps)
    return mean.view(1, -1, 1, 1), width.view(1, -1, 1, 1)


def raw(vae: Any, latents: Tensor) -> Tensor:
    from diffusers import Flux2Pipeline

    mean, width = normal(vae)
    return Flux2Pipeline._unpatchify_latents(latents * width + mean)


def unpacked(latents: Tensor, pipe: Any, pixels: int) -> Tensor:
    """Klein's pipeline gives what its autoencoder decodes."""
    mean, width = normal(pipe.vae)
    return (pipe._patchify_latents(latents) - mean) / width


KIND = Kind(
    build=build,
    text=text,
    call=call,
    raw=raw,
    unpacked=unpacked,
    model={"max_tokens": 32, "options": {"flux2": {"text_layers": list(LAYERS)}}},
    widest="all+ffs",
    factor=4,
    comfyui=re.compile(
        r"transformer_blocks\.\d+\.(attn\.(to_[qkv]|add_[qkv]_proj|to_out\.0|to_add_out)"
        r"|ff(_context)?\.linear_(in|out))"
        r"|single_transformer_blocks\.\d+\.attn\.(to_qkv_mlp_proj|to_out)"
    ),
)
