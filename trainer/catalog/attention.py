"""Ways to compute attention, under the names of the reference, and what each of them needs.

`gradients` tells whether a backward pass exists: without one the projections before attention
would silently stay as they are.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

Attention = Literal[
    "native",
    "native-math",
    "native-efficient",
    "native-flash",
    "cudnn",
    "flex",
    "flash-attn",
    "flash-attn-varlen",
    "flash-attn-3",
    "flash-attn-hub",
    "flash-attn-varlen-hub",
    "flash-attn-3-hub",
    "xformers",
    "sageattention",
    "sageattention-hub",
]


@dataclass(frozen=True, slots=True)
class AttentionEntry:
    """`backend` is diffusers' name."""

    backend: str
    summary: str
    gradients: bool = True
    cuda: bool = True  # whether it runs on CUDA devices only


ATTENTION: dict[str, AttentionEntry] = {
    "native": AttentionEntry("native", "torch chooses a kernel", cuda=False),
    "native-math": AttentionEntry("_native_math", "plain matrix products", cuda=False),
    "native-efficient": AttentionEntry("_native_efficient", "torch's memory-efficient kernel"),
    "native-flash": AttentionEntry("_native_flash", "torch's flash kernel; no masks"),
    "cudnn": AttentionEntry("_native_cudnn", "cuDNN's kernel"),
    "flex": AttentionEntry("flex", "flex attention, compiled"),
    "flash-attn": AttentionEntry("flash", "package flash-attn; no masks"),
    "flash-attn-varlen": AttentionEntry(
        "flash_varlen", "package flash-attn, masked tokens left out"
    ),
    "flash-attn-3": AttentionEntry("_flash_3", "package flash-attn-3 (Hopper)"),
    "flash-attn-hub": AttentionEntry("flash_hub", "flash-attn from the hub (package kernels)"),
    "flash-attn-varlen-hub": AttentionEntry("flash_varlen_hub", "the same, masked tokens left out"),
    "flash-attn-3-hub": AttentionEntry("_flash_3_hub", "flash-attn-3 from the hub"),
    "xformers": AttentionEntry("xformers", "package xformers"),
    "sageattention": AttentionEntry("sage", "package sageattention", gradients=False),
    "sageattention-hub": AttentionEntry("sage_hub", "sageattention from the hub", gradients=False),
}

assert tuple(ATTENTION) == get_args(Attention)
