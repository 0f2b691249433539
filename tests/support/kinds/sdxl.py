"""Stable Diffusion XL."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from tests.support.kinds.base import UNET_NAMES, Kind
from tests.support.tiny import BETAS, UNET, clip, clip_tokenizer, vae
from trainer.models.condition import Condition


def unet(*, told: int, context: int) -> Any:
    """`told` numbers beside the text: sizes, or sizes and a score."""
    from diffusers import UNet2DConditionModel

    return UNet2DConditionModel(
        attention_head_dim=(2, 4),
        use_linear_projection=True,
        addition_embed_type="text_time",
        addition_time_embed_dim=8,
        transformer_layers_per_block=(1, 1),
        projection_class_embeddings_input_dim=32 + 8 * told,
        cross_attention_dim=context,
        **UNET,
    )


def build() -> Any:
    from diffusers import EulerDiscreteScheduler, StableDiffusionXLPipeline

    return StableDiffusionXLPipeline(
        vae=vae(4, scaling_factor=0.13025),
        text_encoder=clip(),
        text_encoder_2=clip(projection=True),
        tokenizer=clip_tokenizer(),
        tokenizer_2=clip_tokenizer(),
        unet=unet(told=6, context=64),
        scheduler=EulerDiscreteScheduler(**BETAS, steps_offset=1, timestep_spacing="leading"),
        add_watermarker=False,
    )


def build_refiner(base: Any) -> Any:
    """The second text encoder and the autoencoder of a base; five numbers, the last a score."""
    from diffusers import StableDiffusionXLImg2ImgPipeline

    shared = ("vae", "text_encoder_2", "tokenizer_2", "scheduler")
    return StableDiffusionXLImg2ImgPipeline(
        **{name: getattr(base, name) for name in shared},
        text_encoder=None,
        tokenizer=None,
        unet=unet(told=5, context=32),
        requires_aesthetics_score=True,
        force_zeros_for_empty_prompt=False,
        add_watermarker=False,
    )


def text(pipe: Any, caption: str) -> Mapping[str, Tensor]:
    embeds, _, pooled, _ = pipe.encode_prompt(caption, do_classifier_free_guidance=False)
    return {"prompt_embeds": embeds[0], "pooled_prompt_embeds": pooled[0]}


def call(module: Any, noisy: Tensor, time: Tensor, told: Condition) -> Tensor:
    added = {"text_embeds": told.text["pooled_prompt_embeds"], "time_ids": told.sizes.float()}
    return module(noisy, time, told.text["prompt_embeds"], added_cond_kwargs=added).sample


KIND = Kind(
    build=build,
    text=text,
    call=call,
    widest="attention+ffs+convs",
    comfyui=UNET_NAMES,
    sign_steps=120,
)
