"""An adapter on a tiny model and one fixed batch: losses and gradients to compare settings with."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from tests.support.families import random_latents, some_times, tiny_config, tiny_family, told
from trainer.adapters.lora import LoRA
from trainer.models.base import Family
from trainer.models.condition import Condition


@dataclass
class Trained:
    """`family` with an adapter whose two halves are both not zero."""

    family: Family
    lora: LoRA
    latents: Tensor
    times: Tensor
    condition: Condition

    def forward(self, *, bf16: bool = False) -> Tensor:
        around: AbstractContextManager[Any] = nullcontext()
        if bf16:
            around = torch.autocast("cpu", torch.bfloat16)
        with around:
            return self.family.forward(self.latents, self.times, self.condition)

    def gradients(self, *, bf16: bool = False) -> dict[str, Tensor]:
        """Of the mean square of the prediction, by parameter; none is left behind."""
        self.forward(bf16=bf16).float().pow(2).mean().backward()
        found = {n: p.grad for n, p in self.lora.parameters().items() if p.grad is not None}
        for parameter in self.lora.parameters().values():
            parameter.grad = None
        return found

    @torch.no_grad()
    def base(self) -> Tensor:
        """The prediction without the adapter."""
        with self.lora.base_scope():
            return self.forward()


def trained(kind: str, path: Path, *, preset: str | None = None, **compute: Any) -> Trained:
    """An adapter on a tiny model with these settings of [compute]; always the same weights."""
    family = tiny_family(kind, path, "text", "denoiser", compute=compute)
    text = family.collate_text(family.encode_text(["a red apple"] * 2))
    config = tiny_config(kind, path, adapter={"rank": 4, "preset": preset})
    lora = LoRA(config.adapter, family, seed=1, dtype=torch.float32)
    generator = torch.Generator().manual_seed(0)
    for name, parameter in lora.parameters().items():
        if "lora_B" in name:
            parameter.data.normal_(0, 0.02, generator=generator)
    return Trained(family, lora, random_latents(family), some_times(family), told(text))
