"""Control nets on tiny models: the calls as the loops of diffusers' control pipelines make them,
without the product's code."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from tests.support.families import edge, random_latents, some_sizes, tiny_family
from tests.support.kinds.flux import image_ids
from trainer import catalog
from trainer.adapters.controlnet import ControlNetWeights
from trainer.models.base import Family
from trainer.models.condition import Condition
from trainer.models.controlnet.base import ControlNet

CONTROLLED = [k for k in catalog.FAMILIES if "controlnet" in catalog.family_facts(k).supports]
MODE: dict[str, Any] = {"mode": "controlnet"}


def net_of(family: Family) -> ControlNet:
    assert family.control is not None
    return family.control


def controlled(
    kind: str, path: Path, compute: Any = None, **model: Any
) -> tuple[Family, ControlNetWeights]:
    """A family with everything loaded and its control net, ready to be trained."""
    family = tiny_family(
        kind, path, "text", "vae", "denoiser", model=MODE | model, compute=compute or {}
    )
    return family, ControlNetWeights(family, seed=1, dtype=torch.float32)


def picture(family: Family, seed: int = 1, count: int = 2) -> Tensor:
    """A control picture as the loader gives it: pixels in bytes, or latents."""
    if family.reference_form == "latents":
        return random_latents(family, count, seed=seed)
    size = edge(family.facts.key)
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (count, 3, size, size), dtype=torch.uint8, generator=generator)


def condition(family: Family, *pictures: Tensor, count: int = 2) -> Condition:
    captions = ["a red apple", "a blue car"][:count]
    text = family.collate_text(family.encode_text(captions))
    return Condition(text, some_sizes(count), pictures)


def wake(family: Family, seed: int = 5) -> None:
    """Weights for the layers that are zero at the start, so that the net acts."""
    generator = torch.Generator().manual_seed(seed)
    for parameter in net_of(family).net.parameters():
        if not parameter.any():
            parameter.data.normal_(0, 0.05, generator=generator)


def _unet(base: Any, net: Any, noisy: Tensor, time: Tensor, told: Condition) -> Tensor:
    extra = {}
    if base.config.addition_embed_type == "text_time":
        added = {"text_embeds": told.text["pooled_prompt_embeds"], "time_ids": told.sizes.float()}
        extra = {"added_cond_kwargs": added}
    text = told.text["prompt_embeds"]
    down, middle = net(
        noisy,
        time,
        encoder_hidden_states=text,
        controlnet_cond=told.references[0] / 255,
        conditioning_scale=1.0,
        return_dict=False,
        **extra,
    )
    return base(
        noisy,
        time,
        encoder_hidden_states=text,
        down_block_additional_residuals=down,
        mid_block_additional_residual=middle,
        **extra,
    ).sample


def _sd3(base: Any, net: Any, noisy: Tensor, time: Tensor, told: Condition) -> Tensor:
    text, pooled = told.text["prompt_embeds"], told.text["pooled_prompt_embeds"]
    picture = told.references[0]
    zeroed = net.config.force_zeros_for_pooled_projection
    if zeroed:
        picture = picture + 0.0609 * 1.5305
    values = net(
        hidden_states=noisy,
        timestep=time * 1000,
        encoder_hidden_states=text,
        pooled_projections=torch.zeros_like(pooled) if zeroed else pooled,
        controlnet_cond=picture,
        return_dict=False,
    )[0]
    return base(
        hidden_states=noisy,
        timestep=time * 1000,
        encoder_hidden_states=text,
        pooled_projections=pooled,
        block_controlnet_hidden_states=values,
    ).sample


def _flux(base: Any, net: Any, noisy: Tensor, time: Tensor, told: Condition) -> Tensor:
    from diffusers import FluxPipeline

    b, c, h, w = noisy.shape
    same = {
        "hidden_states": FluxPipeline._pack_latents(noisy, b, c, h, w),
        "timestep": time,
        "guidance": torch.ones(b),
        "pooled_projections": told.text["pooled_prompt_embeds"],
        "encoder_hidden_states": told.text["prompt_embeds"],
        "txt_ids": torch.zeros(told.text["prompt_embeds"].shape[1], 3),
        "img_ids": image_ids(h, w),
    }
    shown = FluxPipeline._pack_latents(told.references[0], b, c, h, w)
    blocks, single_blocks = net(**same, controlnet_cond=shown, return_dict=False)
    out = base(
        **same,
        controlnet_block_samples=blocks,
        controlnet_single_block_samples=single_blocks,
    ).sample
    return FluxPipeline._unpack_latents(out, h * 8, w * 8, 8)


BY_HAND = {"sd1x": _unet, "sd2x": _unet, "sdxl": _unet, "sd3": _sd3, "flux": _flux}


def by_hand(family: Family, noisy: Tensor, time: Tensor, told: Condition) -> Tensor:
    return BY_HAND[family.facts.key](family.denoiser, net_of(family).net, noisy, time, told)
