"""Stable Diffusion 2.x."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from tests.support.kinds import sd1x
from tests.support.tiny import BETAS, UNET, clip_tokenizer


def build() -> Any:
    """As `sd1x`, with OpenCLIP's padding, linear projections, v prediction and zero SNR."""
    from diffusers import DDPMScheduler, StableDiffusionPipeline, UNet2DConditionModel

    pipeline = sd1x.build()
    unet = UNet2DConditionModel(
        cross_attention_dim=32, attention_head_dim=(2, 4), use_linear_projection=True, **UNET
    )
    scheduler = DDPMScheduler(
        **BETAS,
        steps_offset=1,
        clip_sample=False,
        prediction_type="v_prediction",
        rescale_betas_zero_snr=True,
        timestep_spacing="trailing",
    )
    own = {"tokenizer": clip_tokenizer(pad="!"), "unet": unet, "scheduler": scheduler}
    return StableDiffusionPipeline(**pipeline.components | own, requires_safety_checker=False)


KIND = replace(sd1x.KIND, build=build)
