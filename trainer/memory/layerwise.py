"""Networks that only encode or decode, layer by layer through the device (diffusers' hooks).

Not for the denoiser: the hooks take weights away when a layer's forward ends, and its backward
would find them gone. Blocks of the denoiser are swapped by `swap.py`.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn


def through_device(module: nn.Module, device: torch.device) -> nn.Module:
    """`module` in host memory; each layer is on `device` while it computes, the next one follows
    on a stream of its own where there are streams."""
    from diffusers.hooks import apply_group_offloading

    offload: Any = apply_group_offloading
    offload(
        module,
        onload_device=device,
        offload_device=torch.device("cpu"),
        offload_type="leaf_level",
        use_stream=device.type == "cuda",
    )
    return module
