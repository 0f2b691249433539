"""The trained weights of a job."""

from __future__ import annotations

from importlib.util import find_spec

import torch

from trainer.adapters.assistant import assisted
from trainer.adapters.base import Trainable
from trainer.adapters.controlnet import ControlNetWeights
from trainer.adapters.full import FullRank
from trainer.adapters.lora import LoRA
from trainer.adapters.lycoris.adapter import LyCORIS
from trainer.config.schema.root import JobConfig
from trainer.errors import ConfigError
from trainer.findings import finding
from trainer.models.base import Family


def build_trainable(config: JobConfig, family: Family, dtype: torch.dtype) -> Trainable:
    """Attach what is trained to the loaded denoiser; `dtype` is that of the trained weights."""
    if config.model.mode == "full":
        return FullRank(family, dtype=dtype)
    if config.model.mode == "controlnet":
        return ControlNetWeights(family, seed=config.job.seed, dtype=dtype)
    if config.adapter.kind == "lycoris" and find_spec("lycoris") is None:
        raise ConfigError(
            finding(
                "RUN013",
                "adapter.kind lycoris needs the package lycoris-lora",
                where="adapter.kind",
                fix="pip install 'simpletuner-terminal[train]'",
            )
        )
    kind = LyCORIS if config.adapter.kind == "lycoris" else LoRA
    seed, title = config.job.seed, config.job.name
    inner = kind(config.adapter, family, seed=seed, dtype=dtype, title=title)
    return assisted(inner, family, config.model.assistant)
