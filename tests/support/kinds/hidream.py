"""HiDream-I1 full."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from torch import Tensor
from torch.nn.functional import pixel_shuffle

from tests.support.kinds.base import Kind
from tests.support.tiny import clip, clip_tokenizer, t5, t5_tokenizer, vae
from tests.support.tiny_language import llama, llama3_tokenizer
from trainer.models.condition import Condition


def build(**config: Any) -> Any:
    from diffusers import (
        FlowMatchEulerDiscreteScheduler,
        HiDreamImagePipeline,
        HiDreamImageTransformer2DModel,
    )

    options = {"llama_layers": (0, 1), "max_resolution": (32, 32)} | config
    quant = {"use_quant_conv": False, "use_post_quant_conv": False}
    return HiDreamImagePipeline(
        scheduler=FlowMatchEulerDiscreteScheduler(shift=3.0),
        vae=vae(4, scaling_factor=0.3611, shift_factor=0.1159, **quant),
        text_encoder=clip(projection=True),
        tokenizer=clip_tokenizer(),
        text_encoder_2=clip(projection=True),
        tokenizer_2=clip_tokenizer(),
        text_encoder_3=t5(32),
        tokenizer_3=t5_tokenizer(),
        text_encoder_4=llama(),
        tokenizer_4=llama3_tokenizer(),
        transformer=HiDreamImageTransformer2DModel(
            patch_size=2,
            in_channels=4,
            out_channels=4,
            num_layers=1,
            num_single_layers=1,
            attention_head_dim=8,
            num_attention_heads=4,
            caption_channels=[32, 16],
            text_emb_dim=64,
            num_routed_experts=4,
            num_activated_experts=2,
            axes_dims_rope=(4, 2, 2),
            **options,
        ),
    )


def text(pipe: Any, caption: str) -> Mapping[str, Tensor]:
    t5_states, _, llama_states, _, pooled, _ = pipe.encode_prompt(
        caption, do_classifier_free_guidance=False, max_sequence_length=32
    )
    return {"t5": t5_states[0], "llama": llama_states[:, 0], "pooled": pooled[0]}


def call(module: Any, noisy: Tensor, time: Tensor, told: Condition) -> Tensor:
    out = module(
        hidden_states=noisy,
        timesteps=time * 1000,
        encoder_hidden_states_t5=told.text["t5"],
        encoder_hidden_states_llama3=list(told.text["llama"].transpose(0, 1)),
        pooled_embeds=told.text["pooled"],
    ).sample
    if module.training:  # [B, C, patches, 4]
        channels = out.permute(0, 1, 3, 2).flatten(1, 2)
        grid = (noisy.shape[-2] // 2, noisy.shape[-1] // 2)
        out = pixel_shuffle(channels[:, :, : grid[0] * grid[1]].unflatten(2, grid), 2)
    return -out


KIND = Kind(
    build=build,
    text=text,
    call=call,
    model={"max_tokens": 32},
    widest="attention+ffs",
    comfyui=re.compile(
        r"(double|single)_stream_blocks\.\d+\.block\.(attn1\.to_(q|k|v|out)(_t)?"
        r"|(ff_i\.shared_experts|ff_t)\.w[123])"
    ),
)
