"""Counter-based randomness: every draw is a function of what it is for, not of when it is made.

A stream is named by (run seed, sample id, visit number, purpose). Noise, times, crops, captions
and dropout each use their own purpose, so the draws do not depend on worker count, prefetch,
rank layout or on where a run was interrupted (beyond.md B01). No global generator is touched.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


def stream_seed(seed: int, sample_id: int, visit: int, name: str) -> int:
    """63-bit seed of one stream."""
    text = f"{seed}:{sample_id}:{visit}:{name}".encode()
    return int.from_bytes(blake2b(text, digest_size=8).digest(), "little") >> 1


def unit(seed: int) -> float:
    """One float in [0, 1) from a stream seed (53 bits of it)."""
    return (seed >> 10) / (1 << 53)


def uniform(seeds: Sequence[int]) -> list[float]:
    """One float in [0, 1) per stream."""
    return [unit(s) for s in seeds]


def normal(seeds: Sequence[int], shape: Sequence[int]) -> Tensor:
    """Standard normal draws, fp32 on CPU, `[len(seeds), *shape]`, one stream per row."""
    import torch

    out = torch.empty((len(seeds), *shape))
    generator = torch.Generator()
    for row, seed in zip(out, seeds, strict=True):
        generator.manual_seed(seed)
        row.normal_(generator=generator)
    return out
