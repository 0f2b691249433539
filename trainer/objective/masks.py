"""From the masks of a batch to the weight of each latent pixel.

A mask multiplies the loss of each pixel, and by default the mean stays one over all of them: half
a picture kept is half the loss, and a sample counts as much as is kept of it. `normalise` divides
by the share that is kept instead. Masks act on training only; a held-out loss is measured on the
whole picture, so that runs with and without masks can be compared.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from trainer.config.schema.loss import MaskConfig
from trainer.rng import stream_seed, unit

NOTHING_KEPT = 1e-6  # share below which a normalised mask fades out instead of dividing by zero


def drawn_weights(
    masks: Tensor | None,
    config: MaskConfig,
    seed: int,
    sample_ids: Sequence[int],
    visits: Sequence[int],
) -> Tensor | None:
    """Weights [B, 1, h, w] of one visit of samples with `masks` [B, 1, h, w] in 0..1."""
    if masks is None:
        return None
    weights = masks
    if config.probability < 1.0:
        draws = [
            unit(stream_seed(seed, s, v, "mask")) for s, v in zip(sample_ids, visits, strict=True)
        ]
        used = torch.tensor([draw < config.probability for draw in draws])
        used = used.to(masks.device, non_blocking=True).view(-1, 1, 1, 1)
        weights = torch.where(used, weights, 1.0)
    if config.unmasked_weight:
        weights = weights.clamp_min(config.unmasked_weight)
    if config.normalise:
        weights = weights / weights.mean((1, 2, 3), keepdim=True).clamp_min(NOTHING_KEPT)
    return weights
