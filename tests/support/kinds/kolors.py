"""Kolors."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

from tests.support.kinds import sdxl
from tests.support.tiny import SENTENCES, UNET, vae


def tokenizer() -> Any:
    """SentencePiece pieces of the sentences; the class reads them from a file."""
    from diffusers.pipelines.kolors.tokenizer import ChatGLMTokenizer
    from sentencepiece import SentencePieceTrainer

    model = io.BytesIO()
    SentencePieceTrainer.train(
        sentence_iterator=iter(SENTENCES),
        model_writer=model,
        vocab_size=150,
        hard_vocab_limit=False,
        minloglevel=2,
    )
    folder = TemporaryDirectory()
    path = Path(folder.name) / "tokenizer.model"
    path.write_bytes(model.getvalue())
    made = ChatGLMTokenizer(vocab_file=str(path))
    made._folder = folder  # the file must live until the tokenizer is saved
    return made


def chatglm() -> Any:
    """The class leaves its weights as the memory was; filled, else there is NaN everywhere."""
    from diffusers.pipelines.kolors.text_encoder import ChatGLMConfig, ChatGLMModel

    config = ChatGLMConfig(
        num_layers=2,
        padded_vocab_size=200,
        hidden_size=32,
        ffn_hidden_size=64,
        kv_channels=8,
        num_attention_heads=4,
        seq_length=256,
        multi_query_attention=True,
        multi_query_group_num=2,
        add_bias_linear=False,
        add_qkv_bias=True,
        rmsnorm=True,
        apply_residual_connection_post_layernorm=False,
        post_layer_norm=True,
        attention_softmax_in_fp32=True,
        apply_query_key_layer_scaling=True,
        bias_dropout_fusion=True,
        original_rope=True,
    )
    model = ChatGLMModel(config)
    for name, parameter in model.named_parameters():
        if parameter.ndim > 1:
            torch.nn.init.normal_(parameter, std=0.2)
        else:
            torch.nn.init.constant_(parameter, 0.0 if name.endswith("bias") else 1.0)
    return model


def build() -> Any:
    from diffusers import EulerDiscreteScheduler, KolorsPipeline, UNet2DConditionModel

    unet = UNet2DConditionModel(
        attention_head_dim=(2, 4),
        use_linear_projection=True,
        addition_embed_type="text_time",
        addition_time_embed_dim=8,
        transformer_layers_per_block=(1, 1),
        projection_class_embeddings_input_dim=80,
        cross_attention_dim=24,
        encoder_hid_dim=32,
        encoder_hid_dim_type="text_proj",
        **UNET,
    )
    return KolorsPipeline(
        vae=vae(4, scaling_factor=0.13025),
        text_encoder=chatglm(),
        tokenizer=tokenizer(),
        unet=unet,
        scheduler=EulerDiscreteScheduler(
            beta_start=0.00085,
            beta_end=0.014,
            num_train_timesteps=1100,
            beta_schedule="scaled_linear",
            steps_offset=1,
            timestep_spacing="leading",
        ),
    )


KIND = replace(sdxl.KIND, build=build)
