"""Stable Diffusion 1.x."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from tests.support.kinds.base import UNET_NAMES, Kind
from tests.support.tiny import BETAS, UNET, clip, clip_tokenizer, vae
from trainer.models.condition import Condition


def build() -> Any:
    from diffusers import DDPMScheduler, StableDiffusionPipeline, UNet2DConditionModel

    return StableDiffusionPipeline(
        vae=vae(4, scaling_factor=0.18215),
        text_encoder=clip(),
        tokenizer=clip_tokenizer(),
        unet=UNet2DConditionModel(cross_attention_dim=32, attention_head_dim=4, **UNET),
        scheduler=DDPMScheduler(**BETAS, steps_offset=1, clip_sample=False),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )


def text(pipe: Any, caption: str) -> Mapping[str, Tensor]:
    embeds, _ = pipe.encode_prompt(caption, "cpu", 1, False)
    return {"prompt_embeds": embeds[0]}


def call(module: Any, noisy: Tensor, time: Tensor, told: Condition) -> Tensor:
    return module(noisy, time, told.text["prompt_embeds"]).sample


KIND = Kind(
    build=build,
    text=text,
    call=call,
    widest="attention+ffs+convs",
    comfyui=UNET_NAMES,
    sign_steps=120,
    loading={"safety_checker": None},
)
