"""The record that goes from the data layer to the loss."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from trainer.models.condition import Condition, moved


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Samples of one bucket. B samples, C latent channels, h x w latent size."""

    latents: Tensor  # [B, C, h, w]
    text: Mapping[str, Tensor]  # as the family collates it
    sizes: Tensor  # [B, 6] int64: original h, w; crop top, left; target h, w
    sample_ids: tuple[int, ...]
    visits: tuple[int, ...]
    dataset: str
    masks: Tensor | None = None  # [B, 1, h, w] in 0..1: what the loss of each latent pixel counts
    conditioning: tuple[Tensor, ...] = ()  # per partner: latents [B, C, h', w'], or
    # pixels [B, 3, H, W] of uint8 where the family looks at those
    image_embeds: Tensor | None = None  # [B, ...], zeros for samples that are not told theirs
    prior: bool = False  # the target is what the base model predicts without the adapter
    slider: float | None = None  # strength of the adapter for this batch
    timestep_offset: float = 0.0  # added to the normal draw of logit-normal times

    @property
    def condition(self) -> Condition:
        return Condition(self.text, self.sizes, self.conditioning, self.image_embeds)

    def to(self, device: torch.device) -> Batch:
        """The batch on `device`; the copy does not wait when the host memory is pinned."""
        return replace(
            self,
            latents=self.latents.to(device, non_blocking=True),
            text=moved(self.text, lambda t: t.to(device, non_blocking=True)),
            sizes=self.sizes.to(device, non_blocking=True),
            masks=_optional(self.masks, device),
            conditioning=tuple(c.to(device, non_blocking=True) for c in self.conditioning),
            image_embeds=_optional(self.image_embeds, device),
        )

    def pin(self) -> Batch:
        """The batch in page-locked memory, so that `to` can copy while the device computes."""
        return replace(
            self,
            latents=self.latents.pin_memory(),
            text=moved(self.text, lambda t: t.pin_memory()),
            sizes=self.sizes.pin_memory(),
            masks=None if self.masks is None else self.masks.pin_memory(),
            conditioning=tuple(c.pin_memory() for c in self.conditioning),
            image_embeds=None if self.image_embeds is None else self.image_embeds.pin_memory(),
        )


def _optional(tensor: Tensor | None, device: torch.device) -> Tensor | None:
    return None if tensor is None else tensor.to(device, non_blocking=True)
