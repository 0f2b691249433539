"""The trained weights of a job."""

from __future__ import annotations

import torch

from trainer.adapters.assistant import assisted
from trainer.adapters.base import Trainable
from trainer.adapters.full import FullRank
from trainer.adapters.lora import LoRA
from trainer.config.schema.root import JobConfig
from trainer.models.base import Family


def build_trainable(config: JobConfig, family: Family, dtype: torch.dtype) -> Trainable:
    """Attach what is trained to the loaded denoiser; `dtype` is that of the trained weights."""
    if config.model.mode == "full":
        return FullRank(family, dtype=dtype)
    seed, title = config.job.seed, config.job.name
    lora = LoRA(config.adapter, family, seed=seed, dtype=dtype, title=title)
    return assisted(lora, family, config.model.assistant)
