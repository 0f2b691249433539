"""DeepFloyd IF; `stage=2` is the one that enlarges."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from tests.support.kinds.base import Kind
from tests.support.tiny import t5, t5_tokenizer
from trainer.models.condition import Condition

OUT = {"safety_checker": None, "feature_extractor": None, "watermarker": None}
STEPS = {"beta_schedule": "squaredcos_cap_v2", "num_train_timesteps": 1000}


def build(*, stage: int = 1) -> Any:
    from diffusers import (
        DDPMScheduler,
        IFPipeline,
        IFSuperResolutionPipeline,
        UNet2DConditionModel,
    )

    enlarges = {"in_channels": 6, "class_embed_type": "timestep"}
    unet = UNet2DConditionModel(
        sample_size=16,
        layers_per_block=1,
        block_out_channels=(16, 32),
        down_block_types=("ResnetDownsampleBlock2D", "SimpleCrossAttnDownBlock2D"),
        mid_block_type="UNetMidBlock2DSimpleCrossAttn",
        up_block_types=("SimpleCrossAttnUpBlock2D", "ResnetUpsampleBlock2D"),
        out_channels=6,
        norm_num_groups=4,
        cross_attention_dim=32,
        encoder_hid_dim=32,
        attention_head_dim=8,
        addition_embed_type="text",
        addition_embed_type_num_heads=2,
        cross_attention_norm="group_norm",
        resnet_time_scale_shift="scale_shift",
        act_fn="gelu",
        **(enlarges if stage == 2 else {"in_channels": 3}),
    )
    scheduler = DDPMScheduler(
        **STEPS,
        thresholding=True,
        dynamic_thresholding_ratio=0.95,
        sample_max_value=1.0,
        prediction_type="epsilon",
        variance_type="learned_range",
    )
    parts = {"tokenizer": t5_tokenizer(), "text_encoder": t5(), "unet": unet}
    parts |= {"scheduler": scheduler, "requires_safety_checker": False, **OUT}
    if stage == 2:
        return IFSuperResolutionPipeline(image_noising_scheduler=DDPMScheduler(**STEPS), **parts)
    return IFPipeline(**parts)


def text(pipe: Any, caption: str) -> Mapping[str, Tensor]:
    embeds, _ = pipe.encode_prompt(caption, do_classifier_free_guidance=False)
    assert embeds.shape[1] == 77
    return {"prompt_embeds": embeds[0]}


def call(module: Any, noisy: Tensor, time: Tensor, told: Condition) -> Tensor:
    return module(noisy, time, told.text["prompt_embeds"]).sample.chunk(2, dim=1)[0]


KIND = Kind(
    build=build,
    text=text,
    call=call,
    widest="attention+convs",
    encoder=None,
    factor=1,
    loading=OUT,
    comfyui=None,
)
