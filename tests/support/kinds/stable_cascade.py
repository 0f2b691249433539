"""Stable Cascade: a tiny stage C, the real picture encoder with random weights, a tiny decoder."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from tests.support.kinds.base import Kind
from tests.support.tiny import clip, clip_tokenizer, clip_vision
from trainer.models.condition import Condition

WIDTH = 32


def unet(**config: Any) -> Any:
    from diffusers import StableCascadeUNet

    return StableCascadeUNet(
        timestep_ratio_embedding_dim=16,
        conditioning_dim=WIDTH,
        clip_text_pooled_in_channels=WIDTH,
        clip_seq=2,
        dropout=(0.1, 0.1),
        **config,
    )


def stage_c() -> Any:
    """Dropout as the published checkpoints have it."""
    return unet(
        in_channels=16,
        out_channels=16,
        block_out_channels=(WIDTH, WIDTH),
        num_attention_heads=(2, 2),
        down_num_layers_per_block=(1, 1),
        up_num_layers_per_block=(1, 1),
        switch_level=(False,),
        clip_text_in_channels=WIDTH,
        clip_image_in_channels=WIDTH,
    )


def stage_b() -> Any:
    return unet(
        in_channels=4,
        out_channels=4,
        block_out_channels=(8,),
        num_attention_heads=(-1,),
        down_num_layers_per_block=(1,),
        up_num_layers_per_block=(1,),
        down_blocks_repeat_mappers=(1,),
        up_blocks_repeat_mappers=(1,),
        block_types_per_layer=(("SDCascadeResBlock", "SDCascadeTimestepBlock"),),
        patch_size=2,
        effnet_in_channels=16,
    )


def picture_encoder() -> nn.Module:
    """Tame enough to be compared: blocks that add little to what they are given, and statistics
    of pictures and noise, so that latents have about the size of real ones."""
    from trainer.models.parts.efficientnet import Block, EfficientNetEncoder

    encoder = EfficientNetEncoder()
    for module in encoder.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = None  # a plain mean over what is seen
        if isinstance(module, Block) and module.residual:
            nn.init.constant_(module.block[-1][1].weight, 0.2)
    coarse = nn.functional.interpolate(torch.rand(4, 3, 4, 4), (96, 96), mode="bilinear")
    noise = nn.functional.interpolate(torch.rand(4, 3, 128, 128), (96, 96), mode="area")
    pictures = torch.cat([coarse, noise]) * 2 - 1
    with torch.no_grad():
        encoder(pictures)
        encoder.backbone.eval()  # the last statistics are of the features as they will be
        encoder.mapper[1].reset_running_stats()
        encoder(pictures)
    return encoder.eval()


@dataclass
class Whole:
    """Prior pipeline, decoder and picture encoder in one folder."""

    prior: Any
    decoder: Any
    vqgan: Any
    encoder: nn.Module

    def save_pretrained(self, folder: Path) -> None:
        from safetensors.torch import save_file

        self.prior.save_pretrained(folder)
        self.decoder.save_pretrained(Path(folder) / "decoder")
        self.vqgan.save_pretrained(Path(folder) / "vqgan")
        halved = {
            k: v.bfloat16() if v.is_floating_point() else v
            for k, v in self.encoder.state_dict().items()
        }
        save_file(halved, Path(folder) / "effnet_encoder.safetensors")


def build() -> Whole:
    from diffusers import DDPMWuerstchenScheduler, StableCascadePriorPipeline
    from diffusers.pipelines.deprecated.wuerstchen import PaellaVQModel
    from transformers import CLIPImageProcessor

    prior = stage_c()
    nn.init.normal_(prior.clf[1].weight, std=0.05)
    pipeline = StableCascadePriorPipeline(
        tokenizer=clip_tokenizer(),
        text_encoder=clip(projection=True),
        prior=prior,
        image_encoder=clip_vision(WIDTH),
        feature_extractor=CLIPImageProcessor(size=32, crop_size=32),
        scheduler=DDPMWuerstchenScheduler(),
    )
    vqgan = PaellaVQModel(bottleneck_blocks=1, embed_dim=8, num_vq_embeddings=4)
    return Whole(pipeline, stage_b(), vqgan, picture_encoder())


def text(pipe: Any, caption: str) -> Mapping[str, Tensor]:
    embeds, pooled, _, _ = pipe.encode_prompt("cpu", 1, 1, False, prompt=caption)
    return {"prompt_embeds": embeds[0], "pooled_prompt_embeds": pooled[0]}


def call(module: Any, noisy: Tensor, time: Tensor, told: Condition) -> Tensor:
    return module(
        noisy,
        time,
        clip_text_pooled=told.text["pooled_prompt_embeds"],
        clip_text=told.text["prompt_embeds"],
        clip_img=torch.zeros(len(noisy), 1, WIDTH),
    ).sample


def script(module: Any, x0: Tensor, noise: Tensor, time: Tensor, told: Condition) -> Tensor:
    """Mean over samples of P2 weight times squared error, noised by diffusers' scheduler.

    The script of the model's authors draws dropout too; the two would never agree with it.
    """
    from diffusers import DDPMWuerstchenScheduler

    for part in module.modules():
        if isinstance(part, nn.Dropout):
            part.p = 0.0
    scheduler = DDPMWuerstchenScheduler()
    abar = scheduler._alpha_cumprod(time, time.device)
    log_snr = (abar / (1 - abar)).log()
    prediction = call(module, scheduler.add_noise(x0, noise, time), time, told)
    loss = nn.functional.mse_loss(prediction, noise, reduction="none").mean((1, 2, 3))
    return (loss * (1 + log_snr.exp()) ** -1).mean()


def comfyui_name(module: str) -> str:
    """ComfyUI keeps upstream's attention, whose projections lie one module deeper."""
    head, attention, tail = module.partition(".attention.")
    if not attention:
        return module
    return f"{head}.attention.attn.{'out_proj' if tail == 'to_out.0' else tail}"


KIND = Kind(
    build=build,
    text=text,
    call=call,
    widest="attention+mlps",
    comfyui=re.compile(
        r"(down|up)_blocks\.\d+\.\d+\."
        r"(attention\.(to_[qkv]|to_out\.0)|channelwise\.[04]|kv_mapper\.1)"
    ),
    factor=Fraction(128, 3),
    side=6,
    encoder="effnet_encoder.safetensors",
    decodes=False,
    comfyui_name=comfyui_name,
    script=script,
)
