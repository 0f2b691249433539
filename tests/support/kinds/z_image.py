"""Z-Image."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from tests.support.encoders import qwen3, qwen_tokenizer
from tests.support.kinds.base import Kind
from tests.support.tiny import vae
from trainer.models.condition import Condition


def build(**config: Any) -> Any:
    from diffusers import (
        FlowMatchEulerDiscreteScheduler,
        ZImagePipeline,
        ZImageTransformer2DModel,
    )

    options = {"n_layers": 2, "n_refiner_layers": 1, "axes_lens": [256, 32, 32]} | config
    transformer = ZImageTransformer2DModel(
        in_channels=16,
        dim=32,
        n_heads=2,
        n_kv_heads=2,
        cap_feat_dim=16,
        axes_dims=[8, 4, 4],
        **options,
    )
    with torch.no_grad():  # as in a trained model; they begin as zeros
        transformer.x_pad_token.normal_()
        transformer.cap_pad_token.normal_()
    quant = {"use_quant_conv": False, "use_post_quant_conv": False}
    return ZImagePipeline(
        scheduler=FlowMatchEulerDiscreteScheduler(shift=3.0),
        vae=vae(16, scaling_factor=0.3611, shift_factor=0.1159, **quant),
        text_encoder=qwen3(),
        tokenizer=qwen_tokenizer(),
        transformer=transformer,
    )


def text(pipe: Any, caption: str) -> Mapping[str, Tensor]:
    """Real tokens alone: fewer than asked for."""
    (embeds,), _ = pipe.encode_prompt(
        caption, do_classifier_free_guidance=False, max_sequence_length=64
    )
    assert 0 < len(embeds) < 64
    return {"prompt_embeds": embeds}


def call(module: Any, noisy: Tensor, time: Tensor, told: Condition) -> Tensor:
    embeds, lengths = told.text["prompt_embeds"], told.text["lengths"].tolist()
    out = module(
        [picture.unsqueeze(1) for picture in noisy],
        1 - time,
        [row[:length] for row, length in zip(embeds, lengths, strict=True)],
    ).sample
    return -torch.stack(out).squeeze(2)


KIND = Kind(
    build=build,
    text=text,
    call=call,
    model={"max_tokens": 64},
    widest="all",
    comfyui=re.compile(
        r"(layers|noise_refiner|context_refiner)\.\d+\."
        r"(attention\.(to_[qkv]|to_out\.0)|feed_forward\.w[123]|adaLN_modulation\.0)"
    ),
)
