"""What every objective consists of: its draw, what it hands to the model, and the weighted loss.

An objective has three pure parts. `draw` is the only random one and is keyed by sample and visit;
`corrupt` and `loss` are deterministic, so a test can feed them another trainer's noise and times.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

from trainer.config.schema.loss import LossConfig
from trainer.objective import losses
from trainer.rng import stream_seed


@dataclass(slots=True)
class Draw:
    """Random part of a batch, on CPU: noise like the latents, time [B] (sigma or integer)."""

    noise: Tensor
    time: Tensor


@dataclass(slots=True)
class Corrupted:
    """What the model sees and must answer; all on the training device."""

    noisy: Tensor
    time: Tensor
    target: Tensor
    weight: Tensor | None
    width: Tensor | None  # of the Huber loss, [B]


def streams(seed: int, sample_ids: Sequence[int], visits: Sequence[int], name: str) -> list[int]:
    return [stream_seed(seed, s, v, name) for s, v in zip(sample_ids, visits, strict=True)]


class Objective(Protocol):
    def draw(
        self,
        latents: Tensor,
        seed: int,
        sample_ids: Sequence[int],
        visits: Sequence[int],
        *,
        offset: float = 0.0,
    ) -> Draw:
        """`offset` moves logit-normal times: above 0 towards noise, below towards clean."""
        ...

    def corrupt(self, latents: Tensor, noise: Tensor, time: Tensor) -> Corrupted: ...

    def loss(self, prediction: Tensor, corrupted: Corrupted, mask: Tensor | None = None) -> Tensor:
        """Scalar; `mask` [B, 1, h, w] says how much each latent pixel counts."""
        ...


class Weighted:
    """The loss shared by all kinds of objective."""

    def __init__(self, loss: LossConfig) -> None:
        self.config = loss
        self.element = losses.LOSSES[loss.kind]

    def width(self, fraction: Tensor, noise_to_signal: Callable[[], Tensor]) -> Tensor | None:
        if self.config.kind == "l2":  # the usual loss has none, and nothing is computed for it
            return None
        huber = self.config.huber
        return losses.huber_width(huber.schedule, huber.c, fraction, noise_to_signal())

    def loss(self, prediction: Tensor, corrupted: Corrupted, mask: Tensor | None = None) -> Tensor:
        difference = prediction.float() - corrupted.target
        width = corrupted.width
        if width is None:
            width = difference
        else:
            width = width.view(-1, *(1,) * (difference.ndim - 1))
        return losses.reduce_samples(self.element(difference, width), corrupted.weight, mask)
