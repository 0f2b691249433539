"""The device, the thread count and the determinism switches of this process."""

from __future__ import annotations

import torch

from trainer.config.schema.compute import ComputeConfig
from trainer.errors import ConfigError
from trainer.findings import finding


def choose_device(name: str) -> torch.device:
    """`auto` takes CUDA, then MPS, then the CPU."""
    available = {
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
        "cpu": True,
    }
    if name == "auto":
        name = next(kind for kind in ("cuda", "mps", "cpu") if available[kind])
    if not available[name]:
        raise ConfigError(
            finding(
                "RUN011",
                f"compute.device is {name}, which this machine does not offer",
                where="compute.device",
                fix='set compute.device = "auto"',
                available=[kind for kind, there in available.items() if there],
            )
        )
    return (
        torch.device("cuda", torch.cuda.current_device()) if name == "cuda" else torch.device(name)
    )


def configure(config: ComputeConfig) -> torch.device:
    """Apply process-wide settings and return the training device."""
    device = choose_device(config.device)
    if config.threads is not None:
        torch.set_num_threads(config.threads)
    torch.backends.cuda.matmul.allow_tf32 = True
    torch.backends.cudnn.allow_tf32 = True
    if config.deterministic:
        torch.use_deterministic_algorithms(True, warn_only=True)
        torch.backends.cudnn.benchmark = False
    else:
        torch.backends.cudnn.benchmark = True  # shapes repeat: one per bucket
    return device
