"""Cosmos-Predict2 Text2Image."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from tests.support.kinds.base import Kind
from tests.support.tiny import film_vae, t5, t5_tokenizer
from trainer.models.condition import Condition


class Nobody:
    """A safety checker that lets everything pass."""

    def to(self, device: Any) -> None: ...

    def check_text_safety(self, prompt: str) -> bool:
        return True

    def check_video_safety(self, frames: Any) -> Any:
        return frames


def build(**config: Any) -> Any:
    from diffusers import (
        Cosmos2TextToImagePipeline,
        CosmosTransformer3DModel,
        FlowMatchEulerDiscreteScheduler,
    )

    options = {"extra_pos_embed_type": None, "num_layers": 2} | config
    pipeline = Cosmos2TextToImagePipeline(
        text_encoder=t5(),
        tokenizer=t5_tokenizer(),
        transformer=CosmosTransformer3DModel(
            in_channels=16,
            out_channels=16,
            num_attention_heads=2,
            attention_head_dim=16,
            mlp_ratio=2,
            text_embed_dim=32,
            adaln_lora_dim=4,
            max_size=(4, 32, 32),
            patch_size=(1, 2, 2),
            rope_scale=(2.0, 1.0, 1.0),
            concat_padding_mask=True,
            **options,
        ),
        vae=film_vae(),
        scheduler=FlowMatchEulerDiscreteScheduler(use_karras_sigmas=True),
        safety_checker=Nobody(),
    )
    pipeline.register_modules(safety_checker=None)  # which has no files
    return pipeline


def text(pipe: Any, caption: str) -> Mapping[str, Tensor]:
    """The pipeline fills up with zeros, which are not kept."""
    embeds, _ = pipe.encode_prompt(caption, None, False, max_sequence_length=32)
    real = len(pipe.tokenizer(caption).input_ids)
    assert 0 < real < 32
    assert not embeds[0, real:].any()
    return {"prompt_embeds": embeds[0, :real]}


def call(module: Any, noisy: Tensor, time: Tensor, told: Condition) -> Tensor:
    return module(
        hidden_states=noisy[:, :, None],
        timestep=time,
        encoder_hidden_states=told.text["prompt_embeds"],
        padding_mask=torch.zeros(1, 1, noisy.shape[-2] * 8, noisy.shape[-1] * 8),
    ).sample[:, :, 0]


def raw(vae: Any, latents: Tensor) -> Tensor:
    mean = torch.tensor(vae.config.latents_mean).view(1, -1, 1, 1, 1)
    std = torch.tensor(vae.config.latents_std).view(1, -1, 1, 1, 1)
    return latents[:, :, None] * std + mean


def comfyui_name(module: str) -> str:
    """NVIDIA's own names."""
    block = re.fullmatch(r"transformer_blocks\.(\d+)\.(attn1|attn2|ff)\.(.+)", module)
    if block is None:
        return module
    place = {"attn1": "self_attn", "attn2": "cross_attn", "ff": "mlp"}[block[2]]
    part = {
        "to_q": "q_proj",
        "to_k": "k_proj",
        "to_v": "v_proj",
        "to_out.0": "output_proj",
        "net.0.proj": "layer1",
        "net.2": "layer2",
    }.get(block[3], block[3])
    return f"blocks.{block[1]}.{place}.{part}"


KIND = Kind(
    build=build,
    text=text,
    call=call,
    raw=raw,
    model={"max_tokens": 32},
    loading={"safety_checker": Nobody()},
    widest="attention+ffs",
    factor=8,
    comfyui_name=comfyui_name,
    comfyui=re.compile(
        r"transformer_blocks\.\d+\.(attn[12]\.(to_[qkv]|to_out\.0)|ff\.net\.(0\.proj|2))"
    ),
)
