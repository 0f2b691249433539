"""AuraFlow."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from tests.support.kinds.base import Kind
from tests.support.tiny import SENTENCES, vae
from trainer.models.condition import Condition

LENGTH = 32  # of the text in tokens, padding included


def tokenizer() -> Any:
    """BPE with bytes for what it does not know, as Llama's, with a token for padding."""
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers
    from transformers import LlamaTokenizer

    tok = Tokenizer(models.BPE(byte_fallback=True, unk_token="<unk>"))
    tok.pre_tokenizer = pre_tokenizers.Metaspace()
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=["<pad>", "<unk>", "<s>", "</s>"] + [f"<0x{n:02X}>" for n in range(256)],
        show_progress=False,
    )
    tok.train_from_iterator(SENTENCES, trainer)
    model = json.loads(tok.to_str())["model"]
    merges = [tuple(pair) for pair in model["merges"]]
    return LlamaTokenizer(
        vocab=model["vocab"], merges=merges, pad_token="<pad>", model_max_length=512
    )


def umt5(width: int) -> Any:
    from transformers import UMT5Config, UMT5EncoderModel

    return UMT5EncoderModel(
        UMT5Config(
            d_model=width,
            vocab_size=512,
            d_ff=37,
            d_kv=8,
            num_layers=2,
            num_heads=4,
            relative_attention_num_buckets=8,
            feed_forward_proj="gated-gelu",
        )
    )


def build(*, positions: int = 256) -> Any:
    from diffusers import (
        AuraFlowPipeline,
        AuraFlowTransformer2DModel,
        FlowMatchEulerDiscreteScheduler,
    )

    transformer = AuraFlowTransformer2DModel(
        sample_size=32,
        patch_size=2,
        in_channels=4,
        out_channels=4,
        num_mmdit_layers=1,
        num_single_dit_layers=1,
        attention_head_dim=8,
        num_attention_heads=4,
        caption_projection_dim=32,
        joint_attention_dim=32,
        pos_embed_max_size=positions,
    )
    for name, parameter in transformer.named_parameters():
        if "norm1" in name:  # the gates: as they are built, an adapter's effect would be too small
            torch.nn.init.normal_(parameter, std=0.5)
    return AuraFlowPipeline(
        tokenizer=tokenizer(),
        text_encoder=umt5(32),
        vae=vae(4, scaling_factor=0.13025),
        transformer=transformer,
        scheduler=FlowMatchEulerDiscreteScheduler(shift=1.73),
    )


def text(pipe: Any, caption: str) -> Mapping[str, Tensor]:
    """Padding is zeros and not kept."""
    embeds, _, _, _ = pipe.encode_prompt(caption, None, False, max_sequence_length=LENGTH)
    real = embeds[0].abs().sum(1) > 0
    assert int(real.sum()) == len(pipe.tokenizer(caption).input_ids) < LENGTH
    return {"prompt_embeds": embeds[0][real]}


def call(module: Any, noisy: Tensor, time: Tensor, told: Condition) -> Tensor:
    embeds = told.text["prompt_embeds"]
    lacking = LENGTH - embeds.shape[1]
    padded = torch.cat([embeds, embeds.new_zeros(len(embeds), max(0, lacking), 32)], 1)
    return module(noisy, padded, time).sample


KIND = Kind(
    build=build,
    text=text,
    call=call,
    model={"max_tokens": LENGTH},
    widest="all+ffs",
    comfyui=re.compile(
        r"(joint|single)_transformer_blocks\.\d+\.(attn\.(to_[qkv]|add_[qkv]_proj|to_out\.0"
        r"|to_add_out)|ff(_context)?\.(linear_[12]|out_projection)|norm1(_context)?\.linear)"
    ),
)
