"""CogView4."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from tests.support.kinds.base import Kind
from tests.support.tiny import SENTENCES, vae
from trainer.models.condition import Condition


def tokenizer() -> Any:
    """Byte-level BPE with GLM's two marks before the text, padded in front."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    tok = Tokenizer(models.BPE())
    tok.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=["<|endoftext|>", "[gMASK]", "<sop>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tok.train_from_iterator(SENTENCES, trainer)
    tok.post_processor = processors.TemplateProcessing(
        single="[gMASK] <sop> $A", special_tokens=[("[gMASK]", 1), ("<sop>", 2)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tok,
        pad_token="<|endoftext|>",
        eos_token="<|endoftext|>",
        padding_side="left",
        model_max_length=1024,
    )


def glm() -> Any:
    from transformers import GlmConfig, GlmModel

    return GlmModel(
        GlmConfig(
            hidden_size=32,
            intermediate_size=32,
            num_hidden_layers=2,
            num_attention_heads=2,
            num_key_value_heads=2,
            head_dim=16,
            vocab_size=512,
            max_position_embeddings=512,
            pad_token_id=0,
            eos_token_id=0,
        )
    )


def build() -> Any:
    from diffusers import (
        CogView4Pipeline,
        CogView4Transformer2DModel,
        FlowMatchEulerDiscreteScheduler,
    )

    transformer = CogView4Transformer2DModel(
        patch_size=2,
        in_channels=4,
        out_channels=4,
        num_layers=2,
        attention_head_dim=16,
        num_attention_heads=2,
        text_embed_dim=32,
        time_embed_dim=32,
        condition_dim=8,
    )
    return CogView4Pipeline(
        tokenizer=tokenizer(),
        text_encoder=glm(),
        vae=vae(4, scaling_factor=1.0),
        transformer=transformer,
        scheduler=FlowMatchEulerDiscreteScheduler(
            base_shift=0.25, max_shift=0.75, use_dynamic_shifting=True, time_shift_type="linear"
        ),
    )


def text(pipe: Any, caption: str) -> Mapping[str, Tensor]:
    embeds, _ = pipe.encode_prompt(caption, do_classifier_free_guidance=False)
    assert embeds.shape[1] % 16 == 0
    return {"prompt_embeds": embeds[0]}


def call(module: Any, noisy: Tensor, time: Tensor, told: Condition) -> Tensor:
    """At once, or one sample at a time where texts have several lengths; never with a mask."""
    embeds, sizes, mask = told.text["prompt_embeds"], told.sizes, told.text.get("mask")
    if mask is not None:
        return torch.cat(
            [
                call(module, noisy[i, None], time[i, None], Condition(whole, sizes[i, None]))
                for i, whole in enumerate(
                    {"prompt_embeds": row[real][None]}
                    for row, real in zip(embeds, mask, strict=True)
                )
            ]
        )
    mu = 0.25 + 0.75 * (noisy.shape[-2] * noisy.shape[-1] / 4 / 256) ** 0.5
    return module(
        noisy,
        embeds,
        1000 * time / (mu + time - mu * time),
        original_size=sizes[:, 0:2],
        target_size=sizes[:, 4:6],
        crop_coords=sizes[:, 2:4],
    ).sample


KIND = Kind(
    build=build,
    text=text,
    call=call,
    widest="attention+ffs",
    comfyui=re.compile(
        r"transformer_blocks\.\d+\.(attn1\.(to_[qkv]|to_out\.0)|ff\.net\.(0\.proj|2))"
    ),
)
