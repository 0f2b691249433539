"""Sana."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from tests.support.encoders import gemma2, gemma_tokenizer
from tests.support.kinds.base import Kind
from trainer.models.condition import Condition

INSTRUCTION = "a photo of a cat: "


def autoencoder() -> Any:
    from diffusers import AutoencoderDC

    blocks = ("ResBlock", "EfficientViTBlock")
    return AutoencoderDC(
        in_channels=3,
        latent_channels=4,
        attention_head_dim=2,
        encoder_block_types=blocks,
        decoder_block_types=blocks,
        encoder_block_out_channels=(8, 8),
        decoder_block_out_channels=(8, 8),
        encoder_qkv_multiscales=((), (5,)),
        decoder_qkv_multiscales=((), (5,)),
        encoder_layers_per_block=(1, 1),
        decoder_layers_per_block=(1, 1),
        downsample_block_type="conv",
        upsample_block_type="interpolate",
        decoder_norm_types="rms_norm",
        decoder_act_fns="silu",
        scaling_factor=0.41407,
    )


def build(**config: Any) -> Any:
    """With another scale of time than 1, and a table of positions, as some checkpoints have."""
    from diffusers import DPMSolverMultistepScheduler, SanaPipeline, SanaTransformer2DModel

    options = {"timestep_scale": 0.5, "sample_size": 16, "interpolation_scale": 1.0} | config
    transformer = SanaTransformer2DModel(
        patch_size=1,
        in_channels=4,
        out_channels=4,
        num_layers=2,
        num_attention_heads=8,
        attention_head_dim=4,
        num_cross_attention_heads=8,
        cross_attention_head_dim=4,
        cross_attention_dim=32,
        caption_channels=8,
        **options,
    )
    flow = {"prediction_type": "flow_prediction", "use_flow_sigmas": True, "flow_shift": 3.0}
    return SanaPipeline(
        tokenizer=gemma_tokenizer(),
        text_encoder=gemma2(),
        vae=autoencoder(),
        transformer=transformer,
        scheduler=DPMSolverMultistepScheduler(**flow),
    )


def text(pipe: Any, caption: str) -> Mapping[str, Tensor]:
    """Behind the instruction, of which one token is kept; padding is hidden and not kept."""
    embeds, mask, _, _ = pipe.encode_prompt(
        caption, False, max_sequence_length=32, complex_human_instruction=[INSTRUCTION]
    )
    real = int(mask.sum())
    assert 0 < real < 32
    return {"prompt_embeds": embeds[0, :real], "mask": mask[0, :real].bool()}


def call(module: Any, noisy: Tensor, time: Tensor, told: Condition) -> Tensor:
    return module(
        noisy,
        encoder_hidden_states=told.text["prompt_embeds"],
        encoder_attention_mask=told.text["mask"].float(),
        timestep=time * 1000 * module.config.timestep_scale,
    ).sample


def raw(vae: Any, latents: Tensor) -> Tensor:
    return latents / vae.config.scaling_factor


KIND = Kind(
    build=build,
    text=text,
    call=call,
    raw=raw,
    model={"max_tokens": 32, "options": {"sana": {"instruction": INSTRUCTION}}},
    widest="attention+ffs",
    comfyui=None,
)
