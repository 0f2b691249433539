"""The published denoisers at their full size: settings as their repositories have them, no weights.

Built on the meta device they take no memory, so that counts of parameters and bytes, names and
places can be checked that a tiny model does not have. Settings that are diffusers' own defaults
are left out.
"""

from __future__ import annotations

import importlib
from functools import cache
from typing import Any

import torch
from torch import nn

from trainer.catalog import family_facts
from trainer.catalog.quants import QUANTS, Quant
from trainer.memory.quant import QuantPlan, chosen_layers

_SDXL: dict[str, Any] = {
    "block_out_channels": (320, 640, 1280),
    "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
    "up_block_types": ("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
    "transformer_layers_per_block": (1, 2, 10),
    "attention_head_dim": (5, 10, 20),
    "cross_attention_dim": 2048,
    "use_linear_projection": True,
    "addition_embed_type": "text_time",
    "addition_time_embed_dim": 256,
    "projection_class_embeddings_input_dim": 2816,
}
_SD3: dict[str, Any] = {
    "joint_attention_dim": 4096,
    "qk_norm": "rms_norm",
    "out_channels": 16,
}
_COSMOS: dict[str, Any] = {
    "in_channels": 17,
    "text_embed_dim": 1024,
    "extra_pos_embed_type": None,
}
_KLEIN: dict[str, Any] = {"guidance_embeds": False}

SETTINGS: dict[str, dict[str, Any]] = {  # by family, or by family and flavour
    "sd1x": {"cross_attention_dim": 768},
    "sd2x": {
        "cross_attention_dim": 1024,
        "attention_head_dim": (5, 10, 20, 20),
        "use_linear_projection": True,
    },
    "sdxl": _SDXL,
    "kolors": _SDXL
    | {
        "encoder_hid_dim": 4096,
        "encoder_hid_dim_type": "text_proj",
        "projection_class_embeddings_input_dim": 5632,
    },
    "pixart": {
        "num_layers": 42,
        "out_channels": 8,
        "sample_size": 128,
        "caption_channels": 4096,
        "cross_attention_dim": 1152,
    },
    "sd3 medium": _SD3
    | {
        "num_layers": 24,
        "num_attention_heads": 24,
        "caption_projection_dim": 1536,
        "pos_embed_max_size": 384,
        "dual_attention_layers": tuple(range(13)),
    },
    "sd3 large": _SD3
    | {
        "num_layers": 38,
        "num_attention_heads": 38,
        "caption_projection_dim": 2432,
        "pos_embed_max_size": 192,
    },
    "flux": {"guidance_embeds": True},
    "flux2": _KLEIN
    | {
        "num_layers": 5,
        "num_single_layers": 20,
        "num_attention_heads": 24,
        "joint_attention_dim": 7680,
    },
    "flux2 klein-9b": _KLEIN
    | {
        "num_layers": 8,
        "num_single_layers": 24,
        "num_attention_heads": 32,
        "joint_attention_dim": 12288,
    },
    "flux2 dev": {},
    "chroma": {},
    "auraflow": {"pos_embed_max_size": 9216},
    "cogview4": {
        "num_layers": 28,
        "num_attention_heads": 32,
        "attention_head_dim": 128,
        "text_embed_dim": 4096,
    },
    "cosmos2": _COSMOS | {"num_attention_heads": 16, "attention_head_dim": 128, "num_layers": 28},
    "cosmos2 14b": _COSMOS
    | {"num_attention_heads": 40, "attention_head_dim": 128, "num_layers": 36},
    "hidream": {
        "patch_size": 2,
        "in_channels": 16,
        "out_channels": 16,
        "num_layers": 16,
        "num_single_layers": 32,
        "num_attention_heads": 20,
        "attention_head_dim": 128,
        "caption_channels": (4096, 4096),
        "text_emb_dim": 2048,
        "num_routed_experts": 4,
        "num_activated_experts": 2,
        "axes_dims_rope": (64, 32, 32),
        "max_resolution": (128, 128),
        "llama_layers": (*range(32), *[31] * 16),
    },
    "stable_cascade": {
        "block_out_channels": (2048, 2048),
        "num_attention_heads": (32, 32),
        "down_num_layers_per_block": (8, 24),
        "up_num_layers_per_block": (24, 8),
        "clip_text_in_channels": 1280,
        "clip_text_pooled_in_channels": 1280,
        "clip_image_in_channels": 768,
        "switch_level": (False,),
    },
    "qwen_image": {},
    "longcat_image": {"num_layers": 10, "num_single_layers": 20},
    "kandinsky5_image": {
        "in_visual_dim": 16,
        "out_visual_dim": 16,
        "in_text_dim": 3584,
        "in_text_dim2": 768,
        "time_dim": 512,
        "model_dim": 2560,
        "ff_dim": 10240,
        "num_text_blocks": 2,
        "num_visual_blocks": 50,
    },
    "omnigen": {
        "rope_scaling": {"long_factor": [1.0] * 48, "short_factor": [1.0] * 48, "type": "su"},
    },
    "lumina2": {},
    "sana": {},
    "sana sana1.5-4.8b-1024": {"num_layers": 60},
    "z_image": {},
}


@cache
def full_size(name: str) -> nn.Module:
    """The denoiser of a family, or of one flavour of it (`"sd3 large"`), on the meta device."""
    facts = family_facts(name.partition(" ")[0])
    module, _, cls = facts.denoiser_class.rpartition(".")
    with torch.device("meta"):
        return getattr(importlib.import_module(module), cls)(**SETTINGS[name])


BITS = {"int8": 8.1, "fp8": 8.0, "nf4": 4.6, "int4": 4.6}  # of a weight, with its share of scales


def count(name: str) -> int:
    """Numbers in its weight files: parameters, and the tables that are stored with them."""
    return sum(tensor.numel() for tensor in full_size(name).state_dict().values())


def resident(name: str, base: Quant | None = None, *, modulation: bool = False) -> float:
    """Bytes of the frozen weights in bf16, or with the layers that `base` rounds in fewer bits."""
    whole = 2.0 * count(name)
    if base is None:
        return whole
    module, saved = full_size(name), 2.0 - BITS[QUANTS[base].level] / 8
    layers = chosen_layers(module, QuantPlan(name=base, modulation=modulation))
    return whole - saved * sum(module.get_submodule(layer).weight.numel() for layer in layers)
