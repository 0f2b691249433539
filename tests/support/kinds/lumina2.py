"""Lumina-Image 2."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from tests.support.encoders import gemma2, gemma_tokenizer
from tests.support.kinds.base import Kind
from tests.support.tiny import vae
from trainer.models.condition import Condition


def build(**config: Any) -> Any:
    """Its pipeline takes any autoencoder for one of four levels, so the tiny one has four."""
    from diffusers import (
        FlowMatchEulerDiscreteScheduler,
        Lumina2Pipeline,
        Lumina2Transformer2DModel,
    )

    options = {"axes_lens": [300, 64, 64]} | config
    transformer = Lumina2Transformer2DModel(
        sample_size=4,
        patch_size=2,
        in_channels=16,
        hidden_size=32,
        num_layers=2,
        num_refiner_layers=1,
        num_attention_heads=4,
        num_kv_heads=2,
        multiple_of=16,
        axes_dim_rope=[4, 2, 2],
        cap_feat_dim=8,
        **options,
    )
    quant = {"use_quant_conv": False, "use_post_quant_conv": False}
    return Lumina2Pipeline(
        transformer=transformer,
        scheduler=FlowMatchEulerDiscreteScheduler(shift=6.0),
        vae=vae(16, levels=4, scaling_factor=0.3611, shift_factor=0.1159, **quant),
        text_encoder=gemma2(),
        tokenizer=gemma_tokenizer(),
    )


def text(pipe: Any, caption: str) -> Mapping[str, Tensor]:
    """Behind the system prompt; padding is hidden and not kept."""
    embeds, mask, _, _ = pipe.encode_prompt(caption, False, max_sequence_length=256)
    real = int(mask.sum())
    assert 0 < real < 256
    return {"prompt_embeds": embeds[0, :real], "mask": mask[0, :real].bool()}


def call(module: Any, noisy: Tensor, time: Tensor, told: Condition) -> Tensor:
    return -module(
        hidden_states=noisy,
        timestep=1 - time,
        encoder_hidden_states=told.text["prompt_embeds"],
        encoder_attention_mask=told.text["mask"].long(),
    ).sample


NAMES = {
    "attn.to_q": "attention.qkv",
    "attn.to_k": "attention.qkv",
    "attn.to_v": "attention.qkv",
    "attn.to_out.0": "attention.out",
    "feed_forward.linear_1": "feed_forward.w1",
    "feed_forward.linear_2": "feed_forward.w2",
    "feed_forward.linear_3": "feed_forward.w3",
    "norm1.linear": "adaLN_modulation.1",
}


def comfyui_name(module: str) -> str:
    """In ComfyUI the model has its original layers: one for queries, keys and values."""
    block, number, name = module.split(".", 2)
    return f"{block}.{number}.{NAMES[name]}"


def unfused(tensors: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    """The change of each original layer, cut into those of diffusers' layers."""
    out = {}
    for key, value in tensors.items():
        layer, side = key.removeprefix("transformer.").split(".lora_")
        block, number, name = layer.split(".", 2)
        same = [old for old, new in NAMES.items() if new == name]
        pieces = value.split([32, 16, 16]) if len(same) > 1 and side[0] == "B" else [value] * 3
        for old, piece in zip(same, pieces, strict=False):
            out[f"transformer.{block}.{number}.{old}.lora_{side}"] = piece
    return out


KIND = Kind(
    build=build,
    text=text,
    call=call,
    widest="all",
    factor=8,
    comfyui=re.compile(
        r"(layers|noise_refiner|context_refiner)\.\d+\."
        r"(attn\.to_([qkv]|out\.0)|feed_forward\.linear_[123]|norm1\.linear)"
    ),
    comfyui_name=comfyui_name,
    unfused=unfused,
)
