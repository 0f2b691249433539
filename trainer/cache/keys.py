"""Content addresses: a cached tensor is used only if everything that shaped it is the same.

Training options (rate, batch, rank, seed of the run) are not part of a key; the source's bytes,
its placement, the background behind alpha, and the encoder with its version are.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import Any

from trainer.data.geometry import Placement


def digest(*parts: Any) -> str:
    return blake2b(repr(parts).encode(), digest_size=16).hexdigest()


def latent_key(content: str, placement: Placement, background: str, encoder: str) -> str:
    return digest("latent/1", content, placement, background.lstrip("#").lower(), encoder)


def text_key(caption: str, encoder: str) -> str:
    return digest("text/1", caption, encoder)
